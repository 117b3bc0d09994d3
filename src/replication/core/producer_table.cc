#include "replication/core/producer_table.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "absl/strings/str_cat.h"

namespace forebay {
namespace {

// Of what is known of a block's content.
constexpr uint64_t kHasChecksum = 1, kHasDigest = 2;

void PutNumber(std::string& out, uint64_t value) {
  while (value >= 0x80) {
    out += static_cast<char>(value | 0x80);
    value >>= 7;
  }
  out += static_cast<char>(value);
}

// Reads numbers and names; remembers whether anything was amiss.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  uint64_t Number() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<uint8_t>(rest_.front());
      rest_.remove_prefix(1);
      value |= uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) return value;
    }
    failed_ = true;
    return 0;
  }
  std::string Name(size_t bytes_max) {
    const uint64_t size = Number();
    if (failed_ || size > bytes_max || size > rest_.size()) {
      failed_ = true;
      return "";
    }
    std::string name(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return name;
  }
  std::optional<BlockMark> Mark() {
    const uint64_t has = Number();
    if ((has & kHasChecksum) == 0) return std::nullopt;
    BlockMark mark{static_cast<uint32_t>(Number()), std::nullopt};
    if ((has & kHasDigest) != 0) mark.digest = static_cast<uint32_t>(Number());
    return mark;
  }
  bool failed() const { return failed_; }
  bool AtEnd() const { return rest_.empty(); }

 private:
  std::string_view rest_;
  bool failed_ = false;
};

}  // namespace

ProducerVerdict ProducerTable::Check(const BlockStamp& stamp, uint32_t event_count,
                                     std::optional<BlockMark> mark) const {
  using Kind = ProducerVerdict::Kind;
  const auto found = producers_.find(stamp.producer);
  Entry fresh;
  fresh.epoch = stamp.producer_epoch;
  const Entry* entry = found == producers_.end() ? &fresh : &found->second;
  const uint64_t end = stamp.first_sequence + event_count;
  if (stamp.producer_epoch < entry->epoch) return CheckFenced(*entry, stamp, end);
  if (stamp.producer_epoch > entry->epoch) entry = &fresh;
  if (stamp.first_sequence == entry->next_sequence) return {.kind = Kind::kNew};
  if (stamp.first_sequence > entry->next_sequence) {
    return {.kind = Kind::kGap, .expected = entry->next_sequence};
  }
  if (end > entry->next_sequence) return {.kind = Kind::kPartly, .expected = entry->next_sequence};
  return CheckBehind(*entry, stamp.first_sequence, event_count, mark);
}

// A higher epoch than the block's has been here.
ProducerVerdict ProducerTable::CheckFenced(const Entry& entry, const BlockStamp& stamp,
                                           uint64_t end) {
  using Kind = ProducerVerdict::Kind;
  const auto fenced = std::find_if(entry.fenced.begin(), entry.fenced.end(), [&](const Fenced& f) {
    return f.epoch == stamp.producer_epoch;
  });
  if (fenced == entry.fenced.end()) {
    const bool forgotten = stamp.producer_epoch < entry.forgotten_below;
    return {.kind = forgotten ? Kind::kForgotten : Kind::kFenced, .expected = entry.epoch};
  }
  if (stamp.first_sequence >= fenced->next_sequence) {
    return {.kind = Kind::kFenced, .expected = entry.epoch};
  }
  if (end > fenced->next_sequence)
    return {.kind = Kind::kPartly, .expected = fenced->next_sequence};
  return {.kind = Kind::kStored, .stored_to = fenced->stored_to};
}

// The block ends at or before the next sequence: all its sequences are taken.
ProducerVerdict ProducerTable::CheckBehind(const Entry& entry, uint64_t first, uint64_t event_count,
                                           const std::optional<BlockMark>& mark) {
  using Kind = ProducerVerdict::Kind;
  for (const Kept& kept : entry.kept) {
    if (kept.first_sequence != first || kept.event_count != event_count) continue;
    const bool known = kept.mark.has_value() && mark.has_value();
    // The same events may be in other bytes, so only their digests tell that they are others.
    const bool differs = known && kept.mark->checksum != mark->checksum &&
                         kept.mark->digest.has_value() && mark->digest.has_value() &&
                         kept.mark->digest != mark->digest;
    return {.kind = differs ? Kind::kDiffers : Kind::kRepeat,
            .offset = kept.offset,
            .stored_to = kept.offset + event_count};
  }
  if (!entry.kept.empty() && first + event_count > entry.kept.front().first_sequence) {
    return {.kind = Kind::kOtherCut};
  }
  // Whatever came before the oldest that is remembered lies before it in the log.
  return {.kind = Kind::kStored,
          .stored_to = entry.kept.empty() ? Offset() : entry.kept.front().offset};
}

ProducerVerdict ProducerTable::Check(const Block& block) const {
  return Check(block.stamp(), block.event_count(),
               BlockMark{block.checksum(), block.known_digest()});
}

void ProducerTable::Apply(const BlockStamp& stamp, uint32_t event_count, Offset first,
                          std::optional<BlockMark> mark) {
  Entry& entry = producers_[stamp.producer];
  if (stamp.producer_epoch > entry.epoch) {
    if (!entry.kept.empty()) {
      const Kept& last = entry.kept.back();
      entry.fenced.push_back({entry.epoch, entry.next_sequence, last.offset + last.event_count});
    }
    if (entry.fenced.size() > kFencedKept) {
      entry.forgotten_below = entry.fenced.front().epoch + 1;
      entry.fenced.erase(entry.fenced.begin());
    }
    entry.epoch = stamp.producer_epoch;
    entry.kept.clear();
  }
  entry.next_sequence = stamp.first_sequence + event_count;
  entry.kept.push_back({stamp.first_sequence, event_count, first, mark});
  if (entry.kept.size() > kBlocksKept) entry.kept.erase(entry.kept.begin());
}

void ProducerTable::Apply(const Block& block, Offset first) {
  Apply(block.stamp(), block.event_count(), first,
        BlockMark{block.checksum(), block.known_digest()});
}

void ProducerTable::SetDigest(const BlockStamp& stamp, Offset first, uint32_t digest) {
  const auto found = producers_.find(stamp.producer);
  if (found == producers_.end() || found->second.epoch != stamp.producer_epoch) return;
  for (Kept& kept : found->second.kept) {
    if (kept.offset == first && kept.mark.has_value() && !kept.mark->digest.has_value()) {
      kept.mark->digest = digest;
    }
  }
}

void ProducerTable::Touch(const ProducerId& producer, absl::Time now) {
  const auto found = producers_.find(producer);
  if (found != producers_.end()) found->second.heard = now;
}

void ProducerTable::ForgetIdle(absl::Time now, absl::Duration idle) {
  for (auto& [producer, entry] : producers_) {
    if (entry.heard == absl::InfiniteFuture()) entry.heard = now;
  }
  std::erase_if(producers_, [&](const auto& item) { return now - item.second.heard > idle; });
}

std::string ProducerTable::Encode(int format) const {
  std::string out(1, static_cast<char>(format));
  PutNumber(out, producers_.size());
  for (const auto& [producer, entry] : producers_) {
    PutNumber(out, producer.value().size());
    out += producer.value();
    EncodeEntry(entry, format, out);
  }
  return out;
}

void ProducerTable::EncodeEntry(const Entry& entry, int format, std::string& out) {
  PutNumber(out, entry.epoch);
  PutNumber(out, entry.next_sequence);
  if (format >= 2) {
    PutNumber(out, entry.forgotten_below);
    PutNumber(out, entry.fenced.size());
    for (const Fenced& fenced : entry.fenced) {
      PutNumber(out, fenced.epoch);
      PutNumber(out, fenced.next_sequence);
      PutNumber(out, fenced.stored_to.value());
    }
  }
  PutNumber(out, entry.kept.size());
  for (const Kept& kept : entry.kept) {
    PutNumber(out, kept.first_sequence);
    PutNumber(out, kept.event_count);
    PutNumber(out, kept.offset.value());
    if (format < 2) continue;
    const bool digest = kept.mark.has_value() && kept.mark->digest.has_value();
    PutNumber(out, (kept.mark.has_value() ? kHasChecksum : 0) | (digest ? kHasDigest : 0));
    if (kept.mark.has_value()) PutNumber(out, kept.mark->checksum);
    if (digest) PutNumber(out, *kept.mark->digest);
  }
}

absl::StatusOr<ProducerTable> ProducerTable::Decode(std::string_view bytes) {
  ProducerTable table;
  if (bytes.empty()) return table;
  const int format = bytes.front();
  if (format < 1 || format > kFormat) {
    return absl::DataLossError(absl::StrCat("producer snapshot has format ", format,
                                            "; this build reads formats 1 to ", kFormat));
  }
  Reader reader(bytes.substr(1));
  const uint64_t count = reader.Number();
  for (uint64_t i = 0; i < count && !reader.failed(); i++) {
    const ProducerId producer(reader.Name(EventLimits::kProducerIdBytesMax));
    Entry& entry = table.producers_[producer];
    entry.epoch = reader.Number();
    entry.next_sequence = reader.Number();
    // Format 1 does not tell what became of lower epochs.
    entry.forgotten_below = format >= 2 ? reader.Number() : entry.epoch;
    const uint64_t fenced = format >= 2 ? reader.Number() : 0;
    if (fenced > kFencedKept) return absl::DataLossError("producer snapshot keeps too many epochs");
    for (uint64_t f = 0; f < fenced && !reader.failed(); f++) {
      const uint64_t epoch = reader.Number(), next = reader.Number();
      entry.fenced.push_back({epoch, next, Offset(reader.Number())});
    }
    const uint64_t kept = reader.Number();
    if (kept > kBlocksKept) return absl::DataLossError("producer snapshot keeps too many blocks");
    for (uint64_t k = 0; k < kept && !reader.failed(); k++) {
      const uint64_t first = reader.Number(), events = reader.Number();
      entry.kept.push_back({first, events, Offset(reader.Number()), std::nullopt});
      if (format >= 2) entry.kept.back().mark = reader.Mark();
    }
  }
  if (reader.failed() || !reader.AtEnd()) {
    return absl::DataLossError("producer snapshot is cut short or has bytes left over");
  }
  return table;
}

}  // namespace forebay
