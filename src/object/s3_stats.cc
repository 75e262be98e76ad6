#include "object/s3_stats.h"

namespace paceline::object {

std::string_view s3_kind_name(S3Kind kind) {
  constexpr std::array<std::string_view, kS3Kinds> kNames = {"put",
                                                             "get",
                                                             "head",
                                                             "delete",
                                                             "bulk_delete",
                                                             "list",
                                                             "multipart_create",
                                                             "multipart_part",
                                                             "multipart_complete",
                                                             "multipart_abort",
                                                             "multipart_list"};
  return kNames[static_cast<size_t>(kind)];
}

}  // namespace paceline::object
