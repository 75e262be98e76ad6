#include "peer/detector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace paceline::peer {
namespace {

using namespace std::chrono_literals;
using D = Detector;
using Kind = PeerEvent::Kind;

constexpr Lane lane(int broker, uint64_t incarnation) {
  return {BrokerId(broker), Incarnation(incarnation)};
}
constexpr Lane kSelf = lane(1, 4);
constexpr Lane kX = lane(2, 7);
constexpr Lane kY = lane(3, 9);
constexpr Lane kZ = lane(4, 2);

// Plays a broker: time passes in ticks, and those who are well are heard.
struct Player {
  explicit Player(std::vector<Lane> peers = {kX, kY, kZ}, Bounds with = {})
      : bounds(with), detector(kSelf, with, now), living(peers) {
    feed(D::Living{std::move(peers)});
  }
  void feed(const D::Event& event) {
    for (D::Action& action : detector.step(now, event)) {
      if (auto* notice = std::get_if<Notice>(&action)) notices.push_back(*notice);
      if (auto* event_told = std::get_if<PeerEvent>(&action)) events.push_back(*event_told);
      if (auto* ask = std::get_if<D::Ask>(&action)) asks.push_back(*ask);
      if (auto* redial = std::get_if<D::Redial>(&action)) redials.push_back(redial->peer);
    }
  }
  void reach(std::vector<Lane> peers) {
    for (Lane peer : peers) feed(D::Reached{peer});
  }
  // `well` are heard all the time.
  void pass(env::Duration duration, const std::vector<Lane>& well) {
    for (env::Duration passed{0}; passed < duration; passed += 50ms) {
      now = now + 50ms;
      for (Lane peer : well) feed(D::Heard{peer});
      feed(D::Tick{});
    }
  }
  void sleep(env::Duration duration) { now = now + duration; }
  void answer(const D::Ask& ask, std::optional<env::Duration> ago) {
    feed(D::Answered{ask.question, ask.witness, {ago}});
  }
  int count(Kind kind) const {
    int n = 0;
    for (const PeerEvent& event : events) n += event.kind == kind;
    return n;
  }

  env::Instant now{1h};
  Bounds bounds;
  Detector detector;
  std::vector<Lane> living;
  std::vector<Notice> notices;
  std::vector<PeerEvent> events;
  std::vector<D::Ask> asks;
  std::vector<Lane> redials;
};

TEST(Detector, ADeadProcessIsNoticedByARefusalWithoutWaitingForAPing) {
  Player p;
  p.reach({kX, kY});
  p.feed(D::Unreached{kX});
  EXPECT_TRUE(p.notices.empty());
  p.feed(D::Refused{kX});
  ASSERT_EQ(p.notices.size(), 1u);
  EXPECT_EQ(p.notices[0].peer, kX);
  EXPECT_EQ(p.notices[0].evidence, Evidence::refused);
  EXPECT_EQ(p.notices[0].words, "its connection broke and a new one was refused");
  p.feed(D::Refused{kX});
  p.pass(5s, {kY});
  EXPECT_EQ(p.notices.size(), 1u);  // once
}

TEST(Detector, ABrokenConnectionAloneIsNoDeath) {
  Player p;
  p.reach({kX});
  p.feed(D::Unreached{kX});
  p.feed(D::Reached{kX});
  EXPECT_TRUE(p.notices.empty());
  EXPECT_EQ(p.count(Kind::disconnected), 1);
  EXPECT_EQ(p.count(Kind::connected), 2);
}

TEST(Detector, ARefusalWhileAPeerStartsIsNoDeathOfAnIncarnationThatWasNeverReached) {
  Player p;
  for (int i = 0; i < 100; ++i) {
    p.feed(D::Refused{kX});
    p.pass(50ms, {kY});
  }
  EXPECT_TRUE(p.notices.empty());
  EXPECT_TRUE(p.asks.empty());  // nor is it silent
  p.feed(D::Reached{kX});
  p.feed(D::Unreached{kX});
  EXPECT_TRUE(p.notices.empty());  // the old refusals are forgotten
}

TEST(Detector, AnAddressThatAlwaysRefusesKillsNobodyWhoCallsUs) {
  Player p;
  p.feed(D::Came{kX});
  p.feed(D::Refused{kX});
  p.feed(D::Went{kX});
  p.feed(D::Refused{kX});
  EXPECT_TRUE(p.notices.empty());
}

TEST(Detector, ARefusalWaitsForTheEndOfWhatStillStands) {
  Player p;
  p.reach({kX});
  p.feed(D::Came{kX});
  p.feed(D::Unreached{kX});
  p.feed(D::Refused{kX});
  EXPECT_TRUE(p.notices.empty());  // it may have closed its listener only
  p.feed(D::Heard{kX});
  p.pass(5s, {kX, kY});
  EXPECT_TRUE(p.notices.empty());
  p.feed(D::Went{kX});
  ASSERT_EQ(p.notices.size(), 1u);
  EXPECT_EQ(p.notices[0].evidence, Evidence::refused);
}

TEST(Detector, AHostThatCameBackWithoutTheProcessIsARefusalAfterSilence) {
  Player p;
  p.reach({kX});
  p.pass(1s, {});
  EXPECT_EQ(p.redials, std::vector{kX});
  EXPECT_TRUE(p.notices.empty());
  p.feed(D::Refused{kX});  // our connection still stands: nobody was left to end it
  ASSERT_EQ(p.notices.size(), 1u);
  EXPECT_EQ(p.notices[0].evidence, Evidence::refused);
}

TEST(Detector, AVanishedHostIsConfirmedByASecondBroker) {
  Player p;
  p.reach({kX, kY, kZ});
  p.pass(950ms, {kY, kZ});
  EXPECT_TRUE(p.asks.empty());
  p.pass(50ms, {kY, kZ});
  ASSERT_EQ(p.asks.size(), 2u);
  EXPECT_EQ(p.asks[0].about, kX);
  EXPECT_TRUE(p.notices.empty());
  p.answer(p.asks[1], 940ms);
  ASSERT_EQ(p.notices.size(), 1u);
  EXPECT_EQ(p.notices[0].evidence, Evidence::silent);
  EXPECT_EQ(p.notices[0].confirmed_by, kZ.broker);
  EXPECT_EQ(p.notices[0].silent_for, 1s);
  EXPECT_EQ(p.notices[0].words,
            "nothing heard for 1000 ms, and broker 4 has heard nothing for 940 ms");
  p.answer(p.asks[0], 990ms);
  EXPECT_EQ(p.notices.size(), 1u);
}

TEST(Detector, AConnectionThatHangsIsSilenceAndNoRefusal) {
  Player p;
  p.reach({kX, kY});
  p.feed(D::Unreached{kX});  // and no event of the attempts that hang
  p.pass(950ms, {kY});
  EXPECT_TRUE(p.notices.empty());
  p.pass(50ms, {kY});
  ASSERT_EQ(p.asks.size(), 1u);
  p.answer(p.asks[0], 1s);
  ASSERT_EQ(p.notices.size(), 1u);
  EXPECT_EQ(p.notices[0].evidence, Evidence::silent);
}

TEST(Detector, AOneWayCutIsContradictedByWhoStillHears) {
  Player p;
  p.reach({kX, kY, kZ});
  p.pass(1s, {kY, kZ});
  ASSERT_EQ(p.asks.size(), 2u);
  p.answer(p.asks[0], 50ms);
  p.answer(p.asks[1], 10ms);
  EXPECT_TRUE(p.notices.empty());
  ASSERT_EQ(p.count(Kind::silent_unconfirmed), 1);
  EXPECT_EQ(p.events.back().words, "broker 3 heard it 50 ms before");
  // It is asked again, not more often than an answer can have changed, and told once.
  for (int i = 0; i < 100; ++i) {
    p.pass(50ms, {kY, kZ});
    for (const D::Ask& ask : p.asks) p.answer(ask, 20ms);
  }
  EXPECT_TRUE(p.notices.empty());
  EXPECT_EQ(p.count(Kind::silent_unconfirmed), 1);
  EXPECT_LE(p.asks.size(), 2u + 2 * 11);
  p.feed(D::Heard{kX});
  EXPECT_EQ(p.events.back().kind, Kind::recovered);
}

TEST(Detector, AContradictionIsAskedAgainWhenItMayHaveChanged) {
  Player p;
  p.reach({kX, kY});
  p.pass(1s, {kY});
  p.answer(p.asks.back(), 400ms);  // it went silent there later
  p.pass(50ms, {kY});
  EXPECT_EQ(p.asks.size(), 1u);
  p.pass(50ms, {kY});
  ASSERT_EQ(p.asks.size(), 2u);
  p.answer(p.asks.back(), 500ms);
  EXPECT_EQ(p.notices.size(), 1u);
}

TEST(Detector, OfTwoBrokersNoneConfirmsAndTheLeaseDecides) {
  Player p({kX});
  p.reach({kX});
  p.pass(30s, {});
  EXPECT_TRUE(p.notices.empty());
  ASSERT_EQ(p.count(Kind::silent_unconfirmed), 1);
  EXPECT_EQ(p.events.back().words, "there is no other broker to ask");
}

TEST(Detector, WhoIsCutOffFromAllAccusesNobody) {
  Player p;
  p.reach({kX, kY, kZ});
  p.pass(30s, {});
  EXPECT_TRUE(p.notices.empty());
  EXPECT_TRUE(p.asks.empty() || p.asks.size() < 4);
  EXPECT_EQ(p.count(Kind::silent_unconfirmed), 3);
}

TEST(Detector, WitnessesThatDoNotAnswerConfirmNothing) {
  Player p;
  p.reach({kX, kY, kZ});
  p.pass(10s, {kY, kZ});
  EXPECT_TRUE(p.notices.empty());
  EXPECT_EQ(p.count(Kind::silent_unconfirmed), 1);
  EXPECT_GT(p.asks.size(), 10u);  // it goes on asking
}

TEST(Detector, AWitnessThatNeverHeardItConfirmsNothing) {
  Player p;
  p.reach({kX, kY});
  p.pass(1s, {kY});
  p.answer(p.asks.back(), std::nullopt);
  EXPECT_TRUE(p.notices.empty());
}

TEST(Detector, WhoSleptHasHeardNobodyAndAccusesNobody) {
  for (const D::Event& first : std::vector<D::Event>{D::Tick{}, D::Heard{kY}, D::Unreached{kZ}}) {
    Player p;
    p.reach({kX, kY, kZ});
    p.pass(500ms, {kX, kY, kZ});
    p.sleep(5s);
    p.feed(first);  // whatever is seen first after the sleep
    p.feed(D::Tick{});
    p.pass(900ms, {kY, kZ});
    EXPECT_TRUE(p.notices.empty());
    EXPECT_TRUE(p.asks.empty());
    EXPECT_EQ(p.count(Kind::slept), 1);
    p.pass(100ms, {kY, kZ});
    EXPECT_FALSE(p.asks.empty());  // a second of listening is a second again
  }
}

TEST(Detector, AnswersFromBeforeASleepProveNothingAfterIt) {
  Player p;
  p.reach({kX, kY});
  p.pass(1s, {kY});
  const D::Ask ask = p.asks.back();
  p.sleep(5s);
  p.answer(ask, 6s);
  EXPECT_TRUE(p.notices.empty());
}

TEST(Detector, AWitnessThatSleptSaysWhatItHasListenedFor) {
  Player p;
  p.reach({kX});
  EXPECT_EQ(p.detector.hearsay(p.now, kX).heard_ago, 0ns);
  p.pass(300ms, {});
  EXPECT_EQ(p.detector.hearsay(p.now, kX).heard_ago, 300ms);
  p.sleep(60s);
  EXPECT_EQ(p.detector.hearsay(p.now, kX).heard_ago, 0ns);  // before any tick
  EXPECT_EQ(p.detector.hearsay(p.now, lane(2, 6)).heard_ago, std::nullopt);
  EXPECT_EQ(p.detector.hearsay(p.now, kY).heard_ago, std::nullopt);
}

TEST(Detector, LateDoubledAndForeignAnswersAreNone) {
  Player p;
  p.reach({kX, kY, kZ});
  p.pass(1s, {kY, kZ});
  ASSERT_EQ(p.asks.size(), 2u);
  p.feed(D::Heard{kX});  // it comes back before the answers
  p.answer(p.asks[0], 2s);
  p.answer(p.asks[1], 2s);
  p.feed(D::Answered{999, kY, {5s}});
  EXPECT_TRUE(p.notices.empty());
  p.pass(1s, {kY, kZ});
  const D::Ask second = p.asks.back();
  p.answer(p.asks[0], 2s);  // of the first silence
  EXPECT_TRUE(p.notices.empty());
  p.pass(1s, {kY, kZ});
  p.answer(second, 2s);  // older than the bound
  EXPECT_TRUE(p.notices.empty());
  p.feed(D::Answered{p.asks.back().question, lane(3, 8), {2s}});  // who was not asked
  EXPECT_TRUE(p.notices.empty());
  p.answer(p.asks.back(), 2s);
  EXPECT_EQ(p.notices.size(), 1u);
}

TEST(Detector, ALaterIncarnationAtItsAddressEndsTheOneBefore) {
  Player p;
  p.reach({kX});
  p.feed(D::Met{lane(2, 6)});
  p.feed(D::Met{kX});
  p.feed(D::Met{lane(77, 1)});
  EXPECT_TRUE(p.notices.empty());
  p.feed(D::Met{lane(2, 8)});
  p.feed(D::Met{lane(2, 8)});
  ASSERT_EQ(p.notices.size(), 1u);
  EXPECT_EQ(p.notices[0].evidence, Evidence::replaced);
  EXPECT_EQ(p.notices[0].peer, kX);
  p.feed(D::Living{{lane(2, 8), kY, kZ}});
  p.feed(D::Refused{kX});
  p.feed(D::Heard{kX});  // what was still on its way
  EXPECT_EQ(p.detector.health(p.now)[0].state, PeerHealth::State::unheard);
}

TEST(Detector, AGuardiansWordIsEvidenceAtOnceAndForGood) {
  Player p;
  p.reach({kX, kY});
  p.feed(D::GuardianSaid{lane(2, 6), 0});  // of a life that is over
  EXPECT_TRUE(p.notices.empty());
  p.feed(D::GuardianSaid{kX, 9});
  ASSERT_EQ(p.notices.size(), 1u);
  EXPECT_EQ(p.notices[0].evidence, Evidence::told_by_guardian);
  EXPECT_EQ(p.notices[0].exit_status, 9);
  EXPECT_EQ(p.notices[0].words, "its guardian says that it has ended by signal 9");
  p.feed(D::Heard{kX});  // its last bytes are read after its death
  p.feed(D::Unreached{kX});
  p.feed(D::Refused{kX});
  p.feed(D::GuardianSaid{kX, 9});
  EXPECT_EQ(p.notices.size(), 1u);
  EXPECT_EQ(p.count(Kind::recovered), 0);
}

TEST(Detector, AParentMaySpeakBeforeTheRegistrationIsFollowed) {
  Player p;
  const Lane later = lane(2, 8);
  p.feed(D::GuardianSaid{later, 256});
  EXPECT_TRUE(p.notices.empty());
  p.feed(D::Living{{later, kY}});
  ASSERT_EQ(p.notices.size(), 1u);
  EXPECT_EQ(p.notices[0].peer, later);
  EXPECT_EQ(p.notices[0].words, "its guardian says that it has ended with status 1");
  EXPECT_EQ(p.notices[0].silent_for, 0ns);
}

TEST(Detector, AGoodbyeIsNoDeath) {
  Player p;
  p.reach({kX, kY});
  p.feed(D::SaidGoodbye{kX});
  p.feed(D::Unreached{kX});
  p.feed(D::Refused{kX});
  p.pass(10s, {kY});
  p.feed(D::GuardianSaid{kX, 0});
  EXPECT_TRUE(p.notices.empty());
  EXPECT_TRUE(p.asks.empty());
  EXPECT_EQ(p.count(Kind::leaving), 2);
  EXPECT_EQ(p.count(Kind::disconnected), 0);
}

TEST(Detector, WhoDiesAfterItsGoodbyeIsDeadByItsGuardiansWord) {
  Player p;
  p.reach({kX});
  p.feed(D::SaidGoodbye{kX});
  p.feed(D::GuardianSaid{kX, 11});
  EXPECT_EQ(p.notices.size(), 1u);
}

TEST(Detector, AnEndIsToldBeforeItsStatusIsKnown) {
  Player p;
  p.reach({kX, kY});
  p.feed(D::GuardianSaid{kX, kStatusNotYet});
  ASSERT_EQ(p.notices.size(), 1u);
  EXPECT_EQ(p.notices[0].exit_status, std::nullopt);
  EXPECT_EQ(p.notices[0].words, "its guardian says that it has ended");
  p.feed(D::GuardianSaid{kX, 9});
  EXPECT_EQ(p.notices.size(), 1u);
  p.feed(D::SaidGoodbye{kY});
  p.feed(D::GuardianSaid{kY, kStatusNotYet});  // as planned, or not: its status will tell
  EXPECT_EQ(p.notices.size(), 1u);
  p.feed(D::GuardianSaid{kY, kStatusUnplanned});
  ASSERT_EQ(p.notices.size(), 2u);
  EXPECT_EQ(p.notices[1].exit_status, std::nullopt);
  EXPECT_EQ(p.notices[1].words, "its guardian says that it has ended");
}

TEST(Detector, TwoVanishAtOnceAndNeitherIsAWitnessOfTheOther) {
  Player p;
  p.reach({kX, kY, kZ});
  p.pass(1100ms, {kZ});
  for (const D::Ask& ask : std::vector(p.asks))
    if (ask.witness == kZ) p.answer(ask, 1s);
  ASSERT_EQ(p.notices.size(), 2u);
  EXPECT_EQ(p.notices[0].confirmed_by, kZ.broker);
  EXPECT_EQ(p.notices[1].confirmed_by, kZ.broker);
}

TEST(Detector, WhoIsHeardAgainAfterANoticeRecoversAndMayFallAgain) {
  Player p;
  p.reach({kX, kY});
  p.pass(1s, {kY});
  p.answer(p.asks.back(), 1s);
  EXPECT_EQ(p.notices.size(), 1u);
  p.pass(1s, {kX, kY});
  EXPECT_EQ(p.count(Kind::recovered), 1);
  p.pass(1s, {kY});
  p.answer(p.asks.back(), 1s);
  EXPECT_EQ(p.notices.size(), 2u);
}

TEST(Detector, WhoHasLeftTheClusterIsForgotten) {
  Player p;
  p.reach({kX, kY});
  p.pass(1s, {kY});
  p.feed(D::Living{{kSelf, kY}});
  p.answer(p.asks.back(), 1s);
  p.feed(D::Refused{kX});
  p.pass(10s, {kY});
  EXPECT_TRUE(p.notices.empty());
  EXPECT_EQ(p.detector.health(p.now).size(), 1u);
}

// Every order of what can happen, to a depth, against a plain account of what is allowed.
struct Account {
  bool reached = false, open = false, refused = false, came = false, goodbye = false, fatal = false;
  env::Instant heard{};  // or listened from
  bool ever_heard = false;
};
TEST(Detector, NoOrderOfEventsMakesAFalseNotice) {
  const Bounds bounds{
      .ping_every = 100ms, .silent_after = 200ms, .confirm_after = 100ms, .late_after = 100ms};
  enum Step { reach, unreach, refuse, come, go, hear, bye, parent, tick, nap, confirm, steps };
  constexpr int kDepth = 6;
  int notices_seen[4] = {};
  uint64_t sequences = 1;
  for (int i = 0; i < kDepth; ++i) sequences *= steps;
  for (uint64_t sequence = 0; sequence < sequences; ++sequence) {
    Player p({kX, kY}, bounds);
    p.feed(D::Reached{kY});
    Account a;
    uint64_t code = sequence;
    for (int i = 0; i < kDepth; ++i, code /= steps) {
      p.notices.clear();
      std::optional<Evidence> allowed;
      bool silence = false;
      switch (code % steps) {
        case reach:
          a.reached = a.open = a.ever_heard = true, a.refused = false, a.heard = p.now;
          p.feed(D::Reached{kX});
          break;
        case unreach:
          a.open = false;
          p.feed(D::Unreached{kX});
          break;
        case refuse:
          a.refused = true;
          p.feed(D::Refused{kX});
          break;
        case come:
          if (a.came) continue;
          a.came = a.ever_heard = true, a.heard = p.now;
          p.feed(D::Came{kX});
          break;
        case go:
          a.came = false;
          p.feed(D::Went{kX});
          break;
        case hear:
          a.ever_heard = true, a.heard = p.now;
          p.feed(D::Heard{kX});
          break;
        case bye:
          a.goodbye = true;
          p.feed(D::SaidGoodbye{kX});
          break;
        case parent:
          if (!a.fatal) allowed = Evidence::told_by_guardian;
          a.fatal = true;
          p.feed(D::GuardianSaid{kX, 9});
          ASSERT_EQ(p.notices.size(), allowed ? 1u : 0u) << sequence;
          break;
        case tick:
          p.now = p.now + 100ms;
          p.feed(D::Heard{kY});
          p.feed(D::Tick{});
          break;
        case nap:
          p.now = p.now + 5s;
          a.heard = p.now;
          p.feed(D::Heard{kY});
          p.feed(D::Tick{});
          break;
        case confirm:
          silence = !p.asks.empty();
          if (silence) p.answer(p.asks.back(), 5s);
          break;
      }
      for (const Notice& notice : p.notices) {
        ++notices_seen[static_cast<int>(notice.evidence)];
        const bool quiet = p.now - a.heard >= bounds.silent_after;
        if (notice.evidence == Evidence::refused) {
          ASSERT_TRUE(a.reached && a.refused && !a.goodbye && !a.fatal) << sequence;
          ASSERT_TRUE(quiet || (!a.open && !a.came)) << sequence;
        } else if (notice.evidence == Evidence::silent) {
          ASSERT_TRUE(silence && quiet && a.ever_heard && !a.goodbye && !a.fatal) << sequence;
        } else {
          ASSERT_EQ(notice.evidence, allowed) << sequence;
        }
      }
    }
  }
  EXPECT_GT(notices_seen[static_cast<int>(Evidence::refused)], 0);
  EXPECT_GT(notices_seen[static_cast<int>(Evidence::silent)], 0);
  EXPECT_GT(notices_seen[static_cast<int>(Evidence::told_by_guardian)], 0);
}

}  // namespace
}  // namespace paceline::peer
