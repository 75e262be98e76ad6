#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>

#include "base/check.h"

// For tests only: an authority and certificates of its own, made on the spot. They are valid in the
// time of the simulated world and in that of this century.

namespace paceline::net {

struct TestCertificate {
  std::string chain_pem;
  std::string key_pem;
};

class TestAuthority {
 public:
  static TestAuthority make(const std::string& name) {
    TestAuthority authority;
    authority.name_ = name;
    authority.key_.reset(EVP_EC_gen("P-256"), EVP_PKEY_free);
    authority.certificate_ = certify(authority.key_.get(), name, name, authority.key_.get(), "",
                                     "critical,CA:TRUE", false);
    return authority;
  }
  // `host`: a name, or "IP:1.2.3.4". `expired`: it was valid once.
  TestCertificate issue(const std::string& host, bool expired = false) const {
    const std::shared_ptr<EVP_PKEY> key(EVP_EC_gen("P-256"), EVP_PKEY_free);
    const std::string names = host.starts_with("IP:") ? host : "DNS:" + host;
    const auto made = certify(key.get(), host, name_, key_.get(), names, "CA:FALSE", expired);
    const std::unique_ptr<BIO, int (*)(BIO*)> bio(BIO_new(BIO_s_mem()), BIO_free);
    CHECK(PEM_write_bio_PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr));
    return {pem_of(made.get()), text_of(bio.get())};
  }
  std::string certificate_pem() const { return pem_of(certificate_.get()); }

 private:
  static std::string text_of(BIO* bio) {
    char* text = nullptr;
    const long size = BIO_get_mem_data(bio, &text);
    return std::string(text, static_cast<size_t>(size));
  }
  static std::string pem_of(X509* certificate) {
    const std::unique_ptr<BIO, int (*)(BIO*)> bio(BIO_new(BIO_s_mem()), BIO_free);
    CHECK(PEM_write_bio_X509(bio.get(), certificate) == 1);
    return text_of(bio.get());
  }
  static void extend(X509* certificate, int kind, const std::string& value) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, kind, value.c_str());
    CHECK(extension != nullptr && X509_add_ext(certificate, extension, -1) == 1);
    X509_EXTENSION_free(extension);
  }
  static void name_it(X509_NAME* into, const std::string& name) {
    CHECK(X509_NAME_add_entry_by_txt(into, "CN", MBSTRING_ASC,
                                     reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1,
                                     0) == 1);
  }
  static std::shared_ptr<X509> certify(EVP_PKEY* key, const std::string& subject,
                                       const std::string& issuer, EVP_PKEY* issuer_key,
                                       const std::string& names, const std::string& constraints,
                                       bool expired) {
    std::shared_ptr<X509> made(X509_new(), X509_free);
    static long serial = 0;
    CHECK(X509_set_version(made.get(), 2) == 1);
    CHECK(ASN1_INTEGER_set(X509_get_serialNumber(made.get()), ++serial) == 1);
    CHECK(ASN1_TIME_set_string_X509(X509_getm_notBefore(made.get()), "19700101000000Z") == 1);
    CHECK(ASN1_TIME_set_string_X509(X509_getm_notAfter(made.get()),
                                    expired ? "19710101000000Z" : "20991231235959Z") == 1);
    CHECK(X509_set_pubkey(made.get(), key) == 1);
    name_it(X509_get_subject_name(made.get()), subject);
    name_it(X509_get_issuer_name(made.get()), issuer);
    extend(made.get(), NID_basic_constraints, constraints);
    if (!names.empty()) extend(made.get(), NID_subject_alt_name, names);
    CHECK(X509_sign(made.get(), issuer_key, EVP_sha256()) > 0);
    return made;
  }

  std::string name_;
  std::shared_ptr<EVP_PKEY> key_;
  std::shared_ptr<X509> certificate_;
};

}  // namespace paceline::net
