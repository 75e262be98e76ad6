#include "client/scram.h"

#include <gtest/gtest.h>

namespace paceline::client {
namespace {

// The example of RFC 7677.
constexpr const char* kNonce = "rOprNGfwEbeRWgbNEkqO";
constexpr const char* kServerFirst =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
constexpr const char* kServerLast = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

Scram example(std::string password = "pencil") {
  return {Scram::Hash::sha256, "user", std::move(password), kNonce};
}

TEST(Scram, SaysWhatTheStandardSays) {
  Scram scram = example();
  EXPECT_EQ(scram.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
  const auto answer = scram.answer(kServerFirst);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(*answer,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
            "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
  EXPECT_TRUE(scram.check(kServerLast));
}

TEST(Scram, AServerThatDoesNotKnowThePasswordIsNotBelieved) {
  Scram scram = example("pencils");
  EXPECT_EQ(scram.check(kServerLast).error().code, Code::permission_denied) << "too early";
  ASSERT_TRUE(scram.answer(kServerFirst));
  EXPECT_EQ(scram.check(kServerLast).error().code, Code::permission_denied);
  EXPECT_EQ(scram.check("").error().code, Code::permission_denied);
  EXPECT_EQ(scram.check("e=invalid-proof").error().message, "SCRAM is refused: invalid-proof");
}

TEST(Scram, WhatMakesNoSenseIsNotAnswered) {
  for (const char* wrong :
       {"", "r=,s=,i=", "r=rOprNGfwEbeRWgbNEkqO,s=W22Z,i=4096",  // no nonce of the server's
        "r=XXprNGfwEbeRWgbNEkqO%hv,s=W22Z,i=4096",               // not ours
        "r=rOprNGfwEbeRWgbNEkqO%hv,s=W2*Z,i=4096",               // no base64
        "r=rOprNGfwEbeRWgbNEkqO%hv,s=W22,i=4096",                // of no whole length
        "r=rOprNGfwEbeRWgbNEkqO%hv,s=W22Z,i=1", "r=rOprNGfwEbeRWgbNEkqO%hv,s=W22Z,i=2000000000",
        "r=rOprNGfwEbeRWgbNEkqO%hv,s=W22Z", "=,=,r,s=,,,"}) {
    EXPECT_FALSE(example().answer(wrong)) << wrong;
  }
}

TEST(Scram, ANameMayHoldWhatSeparates) {
  const Scram scram(Scram::Hash::sha512, "a=b,c", "x", "n");
  EXPECT_EQ(scram.first(), "n,,n=a=3Db=2Cc,r=n");
}

}  // namespace
}  // namespace paceline::client
