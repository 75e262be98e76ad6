#include "peer/notice.h"

namespace paceline::peer {

std::string_view evidence_name(Evidence evidence) {
  switch (evidence) {
    case Evidence::refused:
      return "refused";
    case Evidence::replaced:
      return "replaced";
    case Evidence::told_by_guardian:
      return "told_by_guardian";
    case Evidence::silent:
      return "silent";
  }
  return "?";
}

std::string_view event_name(PeerEvent::Kind kind) {
  using enum PeerEvent::Kind;
  switch (kind) {
    case connected:
      return "connected";
    case disconnected:
      return "disconnected";
    case silent_unconfirmed:
      return "silent_unconfirmed";
    case recovered:
      return "recovered";
    case leaving:
      return "leaving";
    case slept:
      return "slept";
    case stranger:
      return "stranger";
  }
  return "?";
}

}  // namespace paceline::peer
