#include "takeover/state.h"

#include "takeover/pack.h"

namespace paceline::takeover {

std::string pack(const State& state) {
  return pack_state(state);
}

State unpack(std::string_view bytes) {
  return unpack_state<State>(bytes);
}

std::string_view sentence(Fault fault) {
  switch (fault) {
    case Fault::none:
      return "nothing";
    case Fault::two_records_at_one_offset:
      return "two records were told at one offset";
    case Fault::one_record_twice:
      return "one record stands at two offsets";
    case Fault::acknowledged_is_missing:
      return "a leader serves without something that was told";
    case Fault::hole_in_recovery:
      return "a successor finds a hole in a log";
    case Fault::epoch_goes_back:
      return "a broker begins to serve an older epoch than was served";
    case Fault::nothing_durable_has_it:
      return "a successor would not find something that was told";
    case Fault::object_is_gone:
      return "an object was deleted that is needed";
    case Fault::fenced_itself:
      return "a broker took its own slot for a fence";
  }
  return "";
}

}  // namespace paceline::takeover
