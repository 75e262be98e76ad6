#pragma once

#include "page/report.h"

namespace paceline::page {

// corrupt: names the first field of a report that is not there or is of another kind than
// docs/format/drill.md says. Fields that this page does not know are no error.
Result<void> check_shape(const Json& report);

}  // namespace paceline::page
