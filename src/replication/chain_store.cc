#include "replication/chain_store.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/log.h"

namespace forebay {
namespace {

constexpr absl::Duration kRetry = absl::Milliseconds(50);
constexpr size_t kCreatedAtOnceMax = 500;

}  // namespace

bool ChainStore::MayCreate() const { return creating_ < kCreatedAtOnceMax; }

void ChainStore::Create(const PartitionId& partition, const Chain& chain, SwapDone done) {
  ++creating_;
  Swap(partition, 0, chain, [this, done = std::move(done)](ChainSwap swap) mutable {
    --creating_;
    done(std::move(swap));
  });
}

void ChainStore::Swap(const PartitionId& partition, uint64_t version, const Chain& chain,
                      SwapDone done) {
  Begin({partition, version, chain}, std::move(done));
}

void ChainStore::SwapOrNot(const PartitionId& partition, uint64_t version, const Chain& chain,
                           SwapDone done) {
  Begin({partition, version, chain, /*may_end=*/true}, std::move(done));
}

// A swap that cannot be applied changes nothing, and is refused as such only where it could be
// written. One at a time, for all who ask meanwhile: in trouble, each may take the time-out.
void ChainStore::AskForWrites(const NodeRecord& self, absl::AnyInvocable<void(bool)> done) {
  ask_for_writes_.push_back(std::move(done));
  if (ask_for_writes_.size() > 1) return;
  constexpr uint64_t kNoVersion = std::numeric_limits<int64_t>::max();
  metadata_.CompareAndSwap(NodeKey(self.id), kNoVersion, Encode(self),
                           loop_.Bring<SwapResult>([this](const SwapResult& result) {
                             const bool takes = absl::IsAborted(result.status());
                             for (auto& each : std::exchange(ask_for_writes_, {})) each(takes);
                           }));
}

void ChainStore::Begin(Try swap, SwapDone done) {
  const std::string key = ChainKey(swap.partition), value = Encode(swap.chain);
  const uint64_t version = swap.version;
  metadata_.CompareAndSwap(
      key, version, value,
      loop_.Bring<SwapResult>(
          [this, swap = std::move(swap), done = std::move(done)](const SwapResult& result) mutable {
            OnTried(std::move(swap), result, std::move(done));
          }));
}

void ChainStore::OnTried(Try swap, const SwapResult& result, SwapDone done) {
  if (result.ok()) return done({true, {*result, std::move(swap.chain)}});
  if (absl::IsAborted(result.status())) {
    // An earlier try of ours, thought lost, may have been the one that moved the version.
    return Read(swap.partition, [mine = swap.chain.segments.back(),
                                 done = std::move(done)](VersionedChain now) mutable {
      const std::vector<Segment>& segments = now.chain.segments;
      const bool applied = std::any_of(segments.begin(), segments.end(), [&](const Segment& one) {
        return one.epoch == mine.epoch && one.owner == mine.owner &&
               one.owner_life == mine.owner_life;
      });
      done({applied, std::move(now)});
    });
  }
  if (swap.may_end && absl::IsCancelled(result.status())) return done({false, {}});
  swap.may_end = false;  // this try may still be applied
  loop_.PostAfter(kRetry, [this, swap = std::move(swap), done = std::move(done)]() mutable {
    Begin(std::move(swap), std::move(done));
  });
}

void ChainStore::Read(const PartitionId& partition, absl::AnyInvocable<void(VersionedChain)> done) {
  using Record = absl::StatusOr<std::optional<MetadataRecord>>;
  metadata_.Read(
      ChainKey(partition),
      loop_.Bring<Record>([this, partition, done = std::move(done)](Record record) mutable {
        if (record.ok() && !record->has_value()) return done({});
        absl::StatusOr<Chain> chain =
            record.ok() ? DecodeChain((*record)->value) : absl::StatusOr<Chain>(record.status());
        if (chain.ok()) return done({(*record)->version, *std::move(chain)});
        if (record.ok()) {
          Log(LogLevel::kError,
              absl::StrCat("cannot read the chain of ", partition.ToString(),
                           ", asking again: ", std::string(chain.status().message())));
        }
        loop_.PostAfter(kRetry, [this, partition, done = std::move(done)]() mutable {
          Read(partition, std::move(done));
        });
      }));
}

}  // namespace forebay
