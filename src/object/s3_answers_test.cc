#include "object/s3_answers.h"

#include <gtest/gtest.h>

#include "object/s3_xml.h"

namespace paceline::object {
namespace {

TEST(S3Xml, ElementsTextEntitiesAndNameSpaces) {
  auto root = parse_xml(
      "  <?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ns:A x=\"1\" y='a>b'>\n "
      "<B>a&amp;b&#65;&#x20AC;"
      "</B><B/><C></C ></ns:A>\n");
  ASSERT_TRUE(root) << root.error().message;
  EXPECT_EQ(root->name, "A");
  ASSERT_EQ(root->children.size(), 3u);
  EXPECT_EQ(root->text_of("B"), "a&bA\u20ac");
  EXPECT_EQ(root->text_of("none"), "");
  EXPECT_EQ(parse_xml("<a> x </a>")->text, " x ");
}

TEST(S3Xml, WhatIsNotPlainIsRefused) {
  std::string deep;
  for (size_t i = 0; i <= kXmlDepthMax; ++i) deep += "<a>";
  for (const std::string& bad : {std::string(""),
                                 std::string("text"),
                                 std::string("<a>"),
                                 std::string("<a></b>"),
                                 std::string("<a/><b/>"),
                                 std::string("<a>x</a>y"),
                                 std::string("<a>x<b/></a>"),
                                 std::string("<a x></a>"),
                                 std::string("<a x=1></a>"),
                                 std::string("<a x='1></a>"),
                                 std::string("<!DOCTYPE a><a/>"),
                                 std::string("<a><!-- --></a>"),
                                 std::string("<a><![CDATA[x]]></a>"),
                                 std::string("<a>&foo;</a>"),
                                 std::string("<a>&#0;</a>"),
                                 std::string("<a>&#xD800;</a>"),
                                 std::string("<a>&#1114112;</a>"),
                                 std::string("<a>&amp</a>"),
                                 std::string("<?xml <a/>"),
                                 std::string("< a/>"),
                                 deep}) {
    auto root = parse_xml(bad);
    ASSERT_FALSE(root) << bad;
    EXPECT_EQ(root.error().code, Code::corrupt) << bad;
  }
  std::string wide = "<a>";
  for (size_t i = 0; i < kXmlElementsMax; ++i) wide += "<b/>";
  EXPECT_FALSE(parse_xml(wide + "</a>"));
}

TEST(S3Xml, WhatWasEscapedIsReadBack) {
  const std::string text = "<a b=\"c\"> & 'd' ;&lt;";
  EXPECT_EQ(parse_xml("<x>" + xml_escape(text) + "</x>")->text, text);
}

TEST(S3Answers, ErrorsOfS3AndOfSts) {
  const S3Error plain = parse_s3_error(
      "<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code><Message>a\nb</Message></Error>");
  EXPECT_EQ(plain.code, "NoSuchKey");
  EXPECT_EQ(plain.message, "a b");
  EXPECT_EQ(
      parse_s3_error("<ErrorResponse><Error><Code>ExpiredToken</Code></Error></ErrorResponse>")
          .code,
      "ExpiredToken");
  for (const char* none : {"", "<html><body>503</body></html>", "<html>", "{}"})
    EXPECT_EQ(parse_s3_error(none).code, "") << none;
}

TEST(S3Answers, ListsAreReadAndHalfOnesRefused) {
  auto page = parse_s3_list(
      "<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
      "<Contents><Key>a/b%2Bc</Key><LastModified>x</LastModified><Size>12</Size></Contents>"
      "<Contents><Key>a/d</Key><Size>0</Size></Contents></ListBucketResult>");
  ASSERT_TRUE(page) << page.error().message;
  EXPECT_TRUE(page->truncated);
  ASSERT_EQ(page->objects.size(), 2u);
  EXPECT_EQ(page->objects[0].key, "a/b+c");
  EXPECT_EQ(page->objects[0].bytes, 12u);
  EXPECT_EQ(parse_s3_list("<ListBucketResult><IsTruncated>false</IsTruncated>"
                          "<Contents><Key>a%2Bb</Key><Size>1</Size></Contents></ListBucketResult>")
                ->objects[0]
                .key,
            "a%2Bb");
  for (const char* bad :
       {"<ListBucketResult></ListBucketResult>", "<Other><IsTruncated>true</IsTruncated></Other>",
        "<ListBucketResult><IsTruncated>maybe</IsTruncated></ListBucketResult>",
        "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Key></Contents>"
        "</ListBucketResult>",
        "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Size>1</Size></Contents>"
        "</ListBucketResult>",
        "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Key><Size>-1</Size>"
        "</Contents></ListBucketResult>"})
    EXPECT_FALSE(parse_s3_list(bad)) << bad;
}

TEST(S3Answers, DeletionsThatFailedAreNamed) {
  auto deleted = parse_s3_deleted(
      "<DeleteResult><Deleted><Key>a</Key></Deleted><Error><Key>b&amp;</Key><Code>SlowDown</Code>"
      "</Error></DeleteResult>");
  ASSERT_TRUE(deleted);
  ASSERT_EQ(deleted->failures.size(), 1u);
  EXPECT_EQ(deleted->failures[0].key, "b&");
  EXPECT_EQ(deleted->failures[0].error.code, "SlowDown");
  EXPECT_FALSE(parse_s3_deleted("<Error/>"));
  EXPECT_NE(s3_delete_body({"a<b"}).find("<Key>a&lt;b</Key>"), std::string::npos);
}

TEST(S3Answers, UploadsInParts) {
  EXPECT_EQ(*parse_s3_upload_id("<InitiateMultipartUploadResult><UploadId>2~x</UploadId>"
                                "</InitiateMultipartUploadResult>"),
            "2~x");
  EXPECT_FALSE(parse_s3_upload_id("<InitiateMultipartUploadResult/>"));
  EXPECT_EQ(parse_s3_completed("\n <CompleteMultipartUploadResult/>")->code, "");
  EXPECT_EQ(parse_s3_completed("<Error><Code>InternalError</Code></Error>")->code, "InternalError");
  EXPECT_FALSE(parse_s3_completed("<Error/>"));
  EXPECT_FALSE(parse_s3_completed(""));
  auto page = parse_s3_uploads(
      "<ListMultipartUploadsResult><IsTruncated>true</IsTruncated><NextKeyMarker>k</NextKeyMarker>"
      "<NextUploadIdMarker>u</NextUploadIdMarker><Upload><Key>k</Key><UploadId>u</UploadId>"
      "<Initiated>1970-01-02T00:00:01.500Z</Initiated></Upload></ListMultipartUploadsResult>");
  ASSERT_TRUE(page) << page.error().message;
  EXPECT_EQ(page->uploads.at(0).started_ms, 86'401'000);
  EXPECT_EQ(page->next_key, "k");
  EXPECT_FALSE(
      parse_s3_uploads("<ListMultipartUploadsResult><IsTruncated>true</IsTruncated>"
                       "</ListMultipartUploadsResult>"));
  EXPECT_EQ(s3_complete_body({"\"e\""}, {"c="}).find("<ETag>e"), std::string::npos);
  EXPECT_NE(s3_complete_body({"e"}, {"c="}).find("<ChecksumCRC32C>c=</ChecksumCRC32C>"),
            std::string::npos);
  EXPECT_EQ(s3_complete_body({"e"}, {""}).find("Checksum"), std::string::npos);
}

TEST(S3Answers, CredentialsOfSts) {
  auto lent = parse_sts_credentials(
      "<AssumeRoleWithWebIdentityResponse "
      "xmlns=\"x\"><AssumeRoleWithWebIdentityResult><Credentials>"
      "<SessionToken>t</SessionToken><SecretAccessKey>s</SecretAccessKey>"
      "<Expiration>2026-11-26T20:41:00Z</Expiration><AccessKeyId>a</AccessKeyId></Credentials>"
      "</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>");
  ASSERT_TRUE(lent) << lent.error().message;
  EXPECT_EQ(lent->access_key + lent->secret_key + lent->session_token, "ast");
  EXPECT_EQ(lent->expires_ms, 1795725660000);
  EXPECT_FALSE(
      parse_sts_credentials("<AssumeRoleResponse><AssumeRoleResult><Credentials>"
                            "<AccessKeyId>a</AccessKeyId></Credentials></AssumeRoleResult>"
                            "</AssumeRoleResponse>"));
}

TEST(S3Answers, Times) {
  EXPECT_EQ(*parse_iso_time("2026-11-26T20:41:00.123Z"), 1795725660000);
  EXPECT_EQ(*parse_http_date("Thu, 26 Nov 2026 20:41:00 GMT"), 1795725660000);
  for (const char* bad : {"", "2026-11-26", "2026-13-26T20:41:00Z", "2026-02-30T20:41:00Z",
                          "2026-11-26T24:41:00Z", "2026-11-26T20:41:00", "x026-11-26T20:41:00Z"})
    EXPECT_FALSE(parse_iso_time(bad)) << bad;
  for (const char* bad : {"", "Thu, 26 ovN 2026 20:41:00 GMT", "Thu, 26 Nov 2026 20:41:00 CET"})
    EXPECT_FALSE(parse_http_date(bad)) << bad;
}

}  // namespace
}  // namespace paceline::object
