#include "probe/roster.h"

#include <fmt/format.h>

#include "base/check.h"

namespace paceline::probe {

uint16_t Roster::add(evidence::Run::Client client) {
  CHECK(!full());
  const int life = ++lives_[client.name];
  if (life > 1) client.name += fmt::format("/{}", life);
  const auto index = static_cast<uint16_t>(all_.size());
  all_.push_back(std::move(client));
  ended_.push_back(false);
  // A client outside has yet to say what it is.
  if (!all_.back().version.empty()) tell(index, "client.started");
  return index;
}

void Roster::ended(uint16_t index) {
  if (ended_.at(index)) return;
  ended_[index] = true;
  tell(index, "client.ended");
}

void Roster::is(uint16_t index, std::string library, std::string version) {
  all_.at(index).library = std::move(library);
  all_[index].version = std::move(version);
  tell(index, "client.started");
}

void Roster::tell(uint16_t index, const char* type) {
  const auto& client = all_[index];
  auto event = teller_.now("probe", "client", type);
  event.client_id = client.name;
  event.figures = {{"kind", client.kind},
                   {"library", client.library},
                   {"version", client.version},
                   {"zone", client.zone}};
  teller_.event(std::move(event));
}

}  // namespace paceline::probe
