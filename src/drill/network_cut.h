#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "drill/dev_file.h"
#include "drill/program.h"

namespace paceline::drill {

// What a cut of networks is in one network namespace of a `paceline dev --hosts`: scripts for sh.
struct CutPlace {
  std::string where;  // host-1
  int32_t holder;     // the process whose namespace it is; 0: the machine's own
  std::string cut;
  std::string seen;    // ends with 0 once it is cut
  std::string mend;    // does no harm twice
  std::string mended;  // ends with 0 when nothing is cut any more

  Command command(const std::string& script) const;
};

// The hosts of `brokers`, by `direction`. both: their cables are pulled; what is lost otherwise is
// lost on its way, without a word. out: nobody hears them. in: they hear nobody. cluster: they and
// the other hosts do not hear each other, and the machine, where clients are, hears all.
// unsupported: the cluster's brokers are no hosts; not_found: a broker that is not there.
Result<std::vector<CutPlace>> plan_cut(const DevFile& dev, const std::vector<int32_t>& brokers,
                                       std::string_view direction);

}  // namespace paceline::drill
