#pragma once

#include <string>

#include "sim/clients.h"
#include "sim/scenario.h"
#include "sim/site.h"

namespace paceline::sim {

// What happens to a broker and to what it needs, until it is told to stop.
class Trouble {
 public:
  Trouble(env::SimWorld& world, env::Random& random, Site& site, ObjectFaults& objects,
          Clients& clients, Report& report, std::function<void(std::string_view)> tell);

  // Chances of faults that last for the whole run.
  void begin();
  // Faults at random moments for 10 to 30 s; a broker that is down is started again.
  void suffer();
  // Now and then, to the target of a move while it goes on, or to the others.
  void hurt_move(const std::string& target);
  // No more of them, and what is cut is whole again.
  void end();

  // Whoever is meant to run and does not is started.
  void start_brokers();
  void step_done(std::string what);

 private:
  void hurt();
  void hurt_process();
  void hurt_disk();
  void hurt_store();
  void hurt_metadata();
  void hurt_surroundings();
  void kill();
  void crash();
  void die_at_any_event();
  void power_soon();
  void fill_disk();
  void discard();
  void usurp();
  void pause(BrokerHost& host);

  // trouble_cluster.cc
  void suffer_together();
  void hurt_cluster();
  void hurt_brokers();
  void hurt_ways();
  void hurt_membership();
  void kill_several();
  void kill_in_turn();
  void freeze_several();
  void restart_while_it_runs();
  void cut_from_clients(BrokerHost& host);
  void cut_from_metadata(BrokerHost& host);
  void cut_from_store(BrokerHost& host);
  void cut_from_each_other(BrokerHost& host);
  void leave_untold(const std::string& by);
  void heal_later(std::string one, std::string other);
  void kill_if_running(BrokerHost& host);
  BrokerHost* victim();  // one that runs; null if none does
  std::vector<BrokerHost*> victims(size_t least, size_t most);
  env::Duration long_enough();

  env::Duration between(env::Duration low, env::Duration high);

  env::SimWorld& world_;
  env::Random& random_;
  Site& site_;
  ObjectFaults& objects_;
  Clients& clients_;
  Report& report_;
  const std::function<void(std::string_view)> tell_;
  const env::Instant begun_;
  bool over_ = false;                   // what was planned and has not come does not come any more
  std::vector<env::Instant> start_at_;  // of site_.hosts(), those that are down
};

}  // namespace paceline::sim
