// What every Transport does: run on the real one and on the simulation's.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "replication/transport.h"
#include "runtime/mutex.h"

namespace forebay {

// Three connected nodes, "a", "b" and "c".
class TransportWorld {
 public:
  virtual ~TransportWorld() = default;
  virtual Transport& At(const std::string& node) = 0;
  // Lets time pass until it holds; false when it does not within a generous time.
  virtual bool Until(std::function<bool()> holds) = 0;
};

struct TransportKind {
  std::string name;
  std::function<std::unique_ptr<TransportWorld>()> make;
};
inline void PrintTo(const TransportKind& kind, std::ostream* out) { *out << kind.name; }

class TransportContract : public testing::TestWithParam<TransportKind> {
 protected:
  using Mail = std::pair<NodeId, uint64_t>;

  void SetUp() override { world_ = GetParam().make(); }

  void Collect(const std::string& node) {
    world_->At(node).Receive([this](const NodeId& from, Message message) {
      MutexLock lock(mutex_);
      mail_.emplace_back(from, std::get<Heartbeat>(message).life.value());
    });
  }
  void Send(const std::string& from, const std::string& to, uint64_t number) {
    world_->At(from).Send(NodeId(to), Heartbeat{ProcessLife(number)});
  }
  std::vector<Mail> mail() {
    MutexLock lock(mutex_);
    return mail_;
  }
  bool UntilMail(size_t count) {
    return world_->Until([&] { return mail().size() >= count; });
  }

  Mutex mutex_;
  std::vector<Mail> mail_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<TransportWorld> world_;  // stops before the mail goes
};

TEST_P(TransportContract, DeliversMessagesOfOnePeerInOrderWithItsName) {
  Collect("b");
  for (uint64_t i = 0; i < 500; i++) Send("a", "b", i);
  ASSERT_TRUE(UntilMail(500));
  for (uint64_t i = 0; i < 500; i++) EXPECT_EQ(mail()[i], Mail(NodeId("a"), i));
}

TEST_P(TransportContract, DeliversOnlyToTheNodeThatIsMeant) {
  Collect("b");
  Send("a", "c", 1);
  Send("a", "b", 2);
  Send("c", "b", 3);
  ASSERT_TRUE(UntilMail(2));
  for (const Mail& one : mail()) EXPECT_NE(one.second, 1u);
}

TEST_P(TransportContract, DeliversToItselfAfterSendHasReturned) {
  bool inside_send = true, was_inside = false;
  world_->At("a").Receive([&](const NodeId& from, const Message&) {
    MutexLock lock(mutex_);
    was_inside = inside_send;
    mail_.emplace_back(from, 0);
  });
  {
    // Held during Send: an inline delivery would not return.
    MutexLock lock(mutex_);
    world_->At("a").Send(NodeId("a"), Heartbeat{ProcessLife(1)});
    inside_send = false;
  }
  ASSERT_TRUE(UntilMail(1));
  EXPECT_EQ(mail()[0].first, NodeId("a"));
  EXPECT_FALSE(was_inside);
}

TEST_P(TransportContract, DropsWhatIsForAnUnknownPeerAndGoesOn) {
  Collect("b");
  Send("a", "nobody", 1);
  Send("a", "b", 2);
  ASSERT_TRUE(UntilMail(1));
  EXPECT_EQ(mail()[0].second, 2u);
}

TEST_P(TransportContract, RunsNoHandlerAfterStop) {
  Collect("b");
  Send("a", "b", 1);
  ASSERT_TRUE(UntilMail(1));
  world_->At("b").Stop();
  const size_t at_stop = mail().size();
  Collect("c");
  for (uint64_t i = 0; i < 50; i++) Send("a", "b", 100 + i);
  Send("a", "c", 2);
  // What went to c came later than what went to b.
  ASSERT_TRUE(UntilMail(at_stop + 1));
  EXPECT_EQ(mail().back().second, 2u);
  EXPECT_EQ(mail().size(), at_stop + 1);
}

}  // namespace forebay
