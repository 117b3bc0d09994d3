#include "server/block_relay.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "producer/attempts.h"

namespace forebay {
namespace {

// Design section 6: a client that cannot reach the owner for this long asks the next replica.
constexpr absl::Duration kOwnerSilence = absl::Milliseconds(300);
constexpr absl::Duration kWaitDefault = absl::Milliseconds(50);

// The owner knows better than "unknown", and says it.
bool IsSaidForGood(const AppendResult& result) {
  return result.outcome == Outcome::kUnknown && absl::IsFailedPrecondition(result.status);
}

bool IsRetryable(const AppendResult& result) {
  return result.outcome == Outcome::kUnknown ||
         result.status.code() == absl::StatusCode::kUnavailable ||
         result.status.code() == absl::StatusCode::kResourceExhausted;
}

absl::Status NoAnswer(const Route& route) {
  return absl::UnavailableError(absl::StrCat("owner '", route.owner.value(), "' of ",
                                             route.partition.ToString(), " has not answered"));
}

}  // namespace

// An append on its way. Each round of routing and sending has a number; what belongs to an earlier
// round comes too late and counts only if it settles the matter.
struct BlockRelay::Attempt {
  PartitionId partition;
  std::optional<Block> block;  // until settled: its timers outlive it
  absl::Time until;
  Done done;
  uint64_t round = 0;
  uint64_t takeover_turn = 0;
  Attempts attempts = {};
  absl::Status last = absl::UnavailableError("no owner was found");

  void GiveUp(const absl::Status& why) {
    AppendResult result = attempts.GiveUp(why);
    if (result.outcome == Outcome::kUnknown) {
      result.status = WithContext(
          result.status, "send again with the same producer identity and sequence to settle it");
    }
    Settle(std::move(result));
  }
  void Settle(AppendResult result) {
    if (done == nullptr) return;
    result.partition = partition;
    Done settled = std::move(done);
    done = nullptr;
    block.reset();
    round++;
    settled(std::move(result));
  }
  bool settled() const { return done == nullptr; }
};

BlockRelay::BlockRelay(Clock& clock, Executor& executor, IngestLink& link)
    : clock_(clock), executor_(executor), link_(link) {}

void BlockRelay::Append(const PartitionId& partition, Block block, absl::Duration limit,
                        Done done) {
  auto attempt = std::make_shared<Attempt>(
      Attempt{partition, std::move(block), clock_.Now() + limit, std::move(done)});
  executor_.PostAfter(limit, [attempt, limit] {
    attempt->GiveUp(WithContext(attempt->last, "given up after ", absl::FormatDuration(limit)));
  });
  FindOwner(attempt);
}

void BlockRelay::FindOwner(const std::shared_ptr<Attempt>& attempt) {
  if (attempt->settled()) return;
  const uint64_t round = ++attempt->round;
  link_.Describe(
      attempt->partition.stream, [this, attempt, round](absl::StatusOr<StreamRoutes> routes) {
        if (attempt->round != round || attempt->settled()) return;
        if (!routes.ok()) {
          attempt->last = routes.status();
          TryAgain(attempt, kWaitDefault);
          return;
        }
        const Route& route = routes->routes.at(attempt->partition.index);
        if (route.owner.empty()) {
          attempt->last = absl::UnavailableError(
              absl::StrCat("partition ", attempt->partition.ToString(), " has no owner yet"));
          TryAgain(attempt, kWaitDefault);
          return;
        }
        Send(attempt, route);
      });
}

void BlockRelay::Send(const std::shared_ptr<Attempt>& attempt, const Route& route) {
  const uint64_t round = attempt->round;
  attempt->attempts.Begin();
  attempt->last = NoAnswer(route);
  link_.SendBlock(route.owner, attempt->partition, *attempt->block,
                  [this, attempt, round, route](AppendResult result) {
                    if (attempt->settled()) return;
                    attempt->attempts.Answered(result.outcome);
                    // A late acknowledgement is as good as any.
                    if (attempt->round != round && result.outcome != Outcome::kAcknowledged) return;
                    const bool broke =
                        result.outcome == Outcome::kUnknown && !IsSaidForGood(result);
                    OnResult(attempt, std::move(result));
                    if (broke) OnSilence(attempt, route);
                  });
  executor_.PostAfter(kOwnerSilence, [this, attempt, round, route] {
    if (attempt->round != round || attempt->settled()) return;
    attempt->last = NoAnswer(route);
    OnSilence(attempt, route);
    TryAgain(attempt, kWaitDefault);
  });
}

void BlockRelay::OnSilence(const std::shared_ptr<Attempt>& attempt, const Route& route) {
  std::vector<NodeId> others = route.replicas;
  std::erase(others, route.owner);
  if (others.empty()) return;
  const NodeId& next = others[attempt->takeover_turn++ % others.size()];
  // Whatever comes of it, the next Describe shows.
  link_.AskToTakeOver(next, attempt->partition, route.epoch, [](const absl::Status&) {});
}

void BlockRelay::OnResult(const std::shared_ptr<Attempt>& attempt, AppendResult result) {
  if (result.outcome == Outcome::kAcknowledged || IsSaidForGood(result)) {
    attempt->Settle(std::move(result));
    return;
  }
  if (IsRetryable(result)) {
    attempt->last = result.status;
    TryAgain(attempt, RetryAfter(result.status).value_or(kWaitDefault));
    return;
  }
  attempt->GiveUp(result.status);  // refused for good
}

void BlockRelay::TryAgain(const std::shared_ptr<Attempt>& attempt, absl::Duration wait) {
  const uint64_t round = ++attempt->round;
  executor_.PostAfter(wait, [this, attempt, round] {
    if (attempt->round == round) FindOwner(attempt);
  });
}

}  // namespace forebay
