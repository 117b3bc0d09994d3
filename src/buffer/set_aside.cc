#include "buffer/set_aside.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "drain/dead_letter.h"
#include "metadata/set_aside.h"
#include "runtime/log.h"

namespace forebay {
namespace {

std::string Range(const PartitionId& partition, const SetAsideBlock& block) {
  return absl::StrCat("the block at offsets ", block.first.value(), " to ", block.end.value() - 1,
                      " of ", partition.ToString());
}

// One block on its way: read, kept, written down.
struct Work {
  MetadataStore& metadata;
  Executor& worker;
  RpcBackend backend;
  PartitionId partition;
  Offset offset;
  RpcBackend::SetAsideDone done;
  SetAsideBlock block = {};
  std::vector<Event> letters = {};
};
using WorkPtr = std::shared_ptr<Work>;

void Write(const WorkPtr& work) {
  WriteSetAside(work->metadata, work->partition, work->block, [work](absl::Status status) {
    if (!status.ok()) return work->done(std::move(status));
    Log(LogLevel::kWarning,
        absl::StrCat(Range(work->partition, work->block), " has been set aside by an operator"));
    work->done(work->block);
  });
}

// The bytes are safe before anything passes over them (G8).
void Keep(const WorkPtr& work) {
  const StreamId letters = DeadLetterStream(work->partition.stream);
  std::vector<Event> events = std::move(work->letters);
  work->backend.produce(
      letters, std::move(events), [work](const std::vector<AppendResult>& results) mutable {
        for (const AppendResult& result : results) {
          if (result.status.ok()) continue;
          return work->done(WithContext(result.status, "keep the block in the dead-letter stream"));
        }
        Write(work);
      });
}

// A stream without sinks has no dead-letter stream yet, but tails may have to pass its blocks.
void CreateLetterStream(const WorkPtr& work) {
  const StreamId letters = DeadLetterStream(work->partition.stream);
  if (work->backend.stream(letters).has_value()) return Keep(work);
  std::optional<StreamOptions> options = work->backend.stream(work->partition.stream);
  if (!options.has_value()) return work->done(NoSuchStream(work->partition.stream));
  options->name = letters;
  options->partitions = 1;
  work->backend.create_stream(*options, [work](const absl::Status& status) {
    if (!status.ok() && !absl::IsAlreadyExists(status)) {
      return work->done(WithContext(status, "create the dead-letter stream"));
    }
    Keep(work);
  });
}

void OnBlocks(WorkPtr work, const absl::StatusOr<std::vector<StoredBlock>>& blocks) {
  if (!blocks.ok()) return work->done(blocks.status());
  if (blocks->empty()) {
    return work->done(absl::FailedPreconditionError(absl::StrCat("nothing is committed at offset ",
                                                                 work->offset.value(), " of ",
                                                                 work->partition.ToString())));
  }
  const StoredBlock& stored = blocks->front();
  work->block = {stored.first, stored.end(), stored.block.checksum()};
  const absl::StatusOr<std::vector<Event>> events = stored.block.Decode();
  // What can be delivered is never dropped, whoever asks.
  if (events.ok()) {
    return work->done(absl::FailedPreconditionError(absl::StrCat(
        Range(work->partition, work->block), " can be decoded, so it is not set aside")));
  }
  SetAsideLetter letter;
  letter.reason = std::string(events.status().message());
  letter.partition = work->partition;
  letter.first = stored.first;
  letter.end = stored.end();
  letter.block = std::string(stored.block.bytes());
  work->letters = EncodeSetAside(letter);
  CreateLetterStream(work);
}

}  // namespace

void AddSetAside(MetadataStore& metadata, Executor& worker, RpcBackend& backend) {
  backend.set_aside = [&metadata, &worker, backend](const PartitionId& partition, Offset offset,
                                                    RpcBackend::SetAsideDone done) {
    auto work =
        std::make_shared<Work>(Work{metadata, worker, backend, partition, offset, std::move(done)});
    backend.read(
        partition, offset, 1, [work](absl::StatusOr<std::vector<StoredBlock>> blocks) mutable {
          work->worker.Post([work, blocks = std::move(blocks)] { OnBlocks(work, blocks); });
        });
  };
  backend.is_set_aside = [&metadata](const PartitionId& partition, const SetAsideBlock& block,
                                     RpcBackend::IsSetAsideDone done) {
    IsSetAside(metadata, partition, block, std::move(done));
  };
}

}  // namespace forebay
