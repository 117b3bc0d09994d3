#include "buffer/set_aside.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "drain/dead_letter.h"
#include "runtime/log.h"

namespace forebay {
namespace {

using Record = absl::StatusOr<std::optional<MetadataRecord>>;

absl::StatusOr<SetAsideRecord> BlocksIn(const Record& read, const std::string& key) {
  if (!read.ok()) return WithContext(read.status(), "read ", key);
  if (!read->has_value()) return SetAsideRecord();
  return DecodeSetAside((*read)->value);
}

bool Holds(const SetAsideRecord& record, const SetAsideBlock& block) {
  return std::find(record.blocks.begin(), record.blocks.end(), block) != record.blocks.end();
}

std::string Range(const PartitionId& partition, const SetAsideBlock& block) {
  return absl::StrCat("the block at offsets ", block.first.value(), " to ", block.end.value() - 1,
                      " of ", partition.ToString());
}

}  // namespace

void IsSetAside(MetadataStore& metadata, const PartitionId& partition, const SetAsideBlock& block,
                absl::AnyInvocable<void(absl::StatusOr<bool>)> done) {
  const std::string key = SetAsideKey(partition);
  metadata.Read(key, [key, block, done = std::move(done)](const Record& read) mutable {
    const absl::StatusOr<SetAsideRecord> record = BlocksIn(read, key);
    if (!record.ok()) return done(record.status());
    done(Holds(*record, block));
  });
}

struct BlockSetter::Work {
  PartitionId partition;
  Offset offset;
  Done done;
  SetAsideBlock block;
  std::vector<Event> letters;
};

BlockSetter::BlockSetter(MetadataStore& metadata, Executor& worker, RpcBackend backend)
    : metadata_(metadata), worker_(worker), backend_(std::move(backend)) {}

void BlockSetter::SetAside(const PartitionId& partition, Offset offset, Done done) {
  auto work = std::make_shared<Work>(Work{partition, offset, std::move(done), {}, {}});
  backend_.read(partition, offset, 1,
                [this, work](absl::StatusOr<std::vector<StoredBlock>> blocks) mutable {
                  worker_.Post([this, work, blocks = std::move(blocks)]() mutable {
                    OnBlocks(std::move(work), std::move(blocks));
                  });
                });
}

void BlockSetter::OnBlocks(std::shared_ptr<Work> work,
                           absl::StatusOr<std::vector<StoredBlock>> blocks) {
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
  CreateLetterStream(std::move(work));
}

// A stream without sinks has no dead-letter stream yet, but tails may have to pass its blocks.
void BlockSetter::CreateLetterStream(std::shared_ptr<Work> work) {
  const StreamId letters = DeadLetterStream(work->partition.stream);
  if (backend_.stream(letters).has_value()) return Keep(std::move(work));
  std::optional<StreamOptions> options = backend_.stream(work->partition.stream);
  if (!options.has_value()) return work->done(NoSuchStream(work->partition.stream));
  options->name = letters;
  options->partitions = 1;
  backend_.create_stream(*options, [this, work](const absl::Status& status) mutable {
    if (!status.ok() && !absl::IsAlreadyExists(status)) {
      return work->done(WithContext(status, "create the dead-letter stream"));
    }
    Keep(std::move(work));
  });
}

// The bytes are safe before anything passes over them (G8).
void BlockSetter::Keep(std::shared_ptr<Work> work) {
  const StreamId letters = DeadLetterStream(work->partition.stream);
  std::vector<Event> events = std::move(work->letters);
  backend_.produce(
      letters, std::move(events), [this, work](const std::vector<AppendResult>& results) mutable {
        for (const AppendResult& result : results) {
          if (result.status.ok()) continue;
          return work->done(WithContext(result.status, "keep the block in the dead-letter stream"));
        }
        Write(std::move(work));
      });
}

void BlockSetter::Write(std::shared_ptr<Work> work) {
  const std::string key = SetAsideKey(work->partition);
  metadata_.Read(key, [this, key, work](const Record& read) mutable {
    absl::StatusOr<SetAsideRecord> record = BlocksIn(read, key);
    if (!record.ok()) return work->done(record.status());
    if (Holds(*record, work->block)) return work->done(work->block);
    if (record->blocks.size() >= SetAsideRecord::kBlocksMax) {
      return work->done(absl::ResourceExhaustedError(
          absl::StrCat(SetAsideRecord::kBlocksMax, " blocks of ", work->partition.ToString(),
                       " have been set aside, which is the limit: delete the record '", key,
                       "' in the metadata store once every sink has passed them")));
    }
    const auto at =
        std::find_if(record->blocks.begin(), record->blocks.end(),
                     [&](const SetAsideBlock& other) { return work->block.first < other.first; });
    record->blocks.insert(at, work->block);
    const uint64_t version = read->has_value() ? (*read)->version : 0;
    metadata_.CompareAndSwap(
        key, version, Encode(*record), [this, key, work](const SwapResult& swapped) mutable {
          // Somebody else was faster: after that one, then.
          if (absl::IsAborted(swapped.status())) return Write(std::move(work));
          if (!swapped.status().ok()) {
            return work->done(WithContext(swapped.status(), "write ", key));
          }
          Log(LogLevel::kWarning, absl::StrCat(Range(work->partition, work->block),
                                               " has been set aside by an operator"));
          work->done(work->block);
        });
  });
}

}  // namespace forebay
