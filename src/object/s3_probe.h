#pragma once

#include "object/s3.h"
#include "object/s3_client.h"

namespace paceline::object {

Task<Result<S3Principal>> s3_probe(std::shared_ptr<S3Client> client);

}  // namespace paceline::object
