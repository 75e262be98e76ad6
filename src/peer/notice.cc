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
      return "peer.connected";
    case disconnected:
      return "peer.disconnected";
    case silent_unconfirmed:
      return "peer.silent_unconfirmed";
    case recovered:
      return "peer.recovered";
    case leaving:
      return "peer.leaving";
    case slept:
      return "peer.slept";
    case stranger:
      return "peer.stranger";
  }
  return "peer.unknown";
}

}  // namespace paceline::peer
