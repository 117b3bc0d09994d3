#include "drain/sink_session.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "block/block.h"

namespace forebay {
namespace {

// Sinks come from outside: what they throw must not end the node.
template <typename Result>
Result Guarded(absl::AnyInvocable<Result()> call) {
  try {
    return call();
  } catch (const std::exception& e) {
    return absl::InternalError(absl::StrCat("the sink threw: ", e.what()));
  } catch (...) {
    return absl::InternalError("the sink threw something that is not a std::exception");
  }
}

}  // namespace

void SinkCall::Run(Sink& sink) {
  if (batch != nullptr) {
    batch->Decode();
    // The batch ends before a block that cannot be decoded: what precedes it is delivered first.
    if (batch->end() <= head.first) {
      result = batch->bad()->why;
      return;
    }
    count = std::min<size_t>(count, batch->end().value() - head.first.value());
    head.last = head.first + (count - 1);
    head.events = batch->Events(head.first, count);
  }
  decoded = true;
  head.digest = DigestOf(head.events);
  result = Guarded<absl::Status>([&] { return skip ? sink.Skip(head) : sink.Deliver(head); });
}

SinkSession::SinkSession(DrainContext& context, size_t sink_index)
    : context_(context), sink_index_(sink_index), returns_(context.loop), answers_(context.loop) {}

void SinkSession::Open(const PartitionId& partition, Epoch epoch, Opened done) {
  if (busy_) {
    // Of before the partition was lost. Two calls at once could swap their effects.
    waiting_ = [this, partition, epoch, done = std::move(done)]() mutable {
      Open(partition, epoch, std::move(done));
    };
    return;
  }
  auto result = std::make_shared<absl::StatusOr<SinkProgress>>();
  Run(
      [sink = context_.sinks[sink_index_].sink, partition, epoch, result] {
        *result =
            Guarded<absl::StatusOr<SinkProgress>>([&] { return sink->Open(partition, epoch); });
      },
      answers_.Through([this, epoch, result, done = std::move(done)]() mutable {
        if (result->ok()) opened_ = epoch;
        if (absl::IsFailedPrecondition(result->status())) fenced_ = epoch;
        done(*result);
      }));
}

void SinkSession::Make(std::shared_ptr<SinkCall> call, Called done) {
  Run([sink = context_.sinks[sink_index_].sink, call] { call->Run(*sink); },
      answers_.Through([this, call, done = std::move(done)]() mutable {
        if (call->decoded && absl::IsFailedPrecondition(call->result)) fenced_ = call->head.epoch;
        done(*call);
      }));
}

void SinkSession::Forget() {
  answers_.Close();
  waiting_ = nullptr;
  opened_.reset();
  fenced_.reset();
}

void SinkSession::Run(Task work, Task then) {
  FOREBAY_CHECK(!busy_, "two calls to a sink of one partition at once");
  busy_ = true;
  context_.workers.Run(sink_index_, std::move(work),
                       returns_.Through([this, then = std::move(then)]() mutable {
                         busy_ = false;
                         then();  // does nothing if the call was forgotten
                         if (!busy_ && waiting_ != nullptr) std::exchange(waiting_, nullptr)();
                       }));
}

}  // namespace forebay
