#include "replication/core/producer_table.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "absl/strings/str_cat.h"

namespace forebay {
namespace {

constexpr char kFormat = 1;

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
  bool failed() const { return failed_; }
  bool AtEnd() const { return rest_.empty(); }

 private:
  std::string_view rest_;
  bool failed_ = false;
};

}  // namespace

ProducerVerdict ProducerTable::Check(const BlockStamp& stamp, uint32_t event_count) const {
  using Kind = ProducerVerdict::Kind;
  const auto found = producers_.find(stamp.producer);
  Entry fresh;
  fresh.epoch = stamp.producer_epoch;
  const Entry* entry = found == producers_.end() ? &fresh : &found->second;
  if (stamp.producer_epoch < entry->epoch) return {Kind::kFenced, Offset(), entry->epoch};
  if (stamp.producer_epoch > entry->epoch) entry = &fresh;
  if (stamp.first_sequence == entry->next_sequence) return {Kind::kNew, Offset(), 0};
  for (const Kept& kept : entry->kept) {
    if (kept.first_sequence == stamp.first_sequence && kept.event_count == event_count) {
      return {Kind::kRepeat, kept.offset, 0};
    }
  }
  return {Kind::kGap, Offset(), entry->next_sequence};
}

void ProducerTable::Apply(const BlockStamp& stamp, uint32_t event_count, Offset first) {
  Entry& entry = producers_[stamp.producer];
  if (stamp.producer_epoch > entry.epoch) {
    entry.epoch = stamp.producer_epoch;
    entry.kept.clear();
  }
  entry.next_sequence = stamp.first_sequence + event_count;
  entry.kept.push_back({stamp.first_sequence, event_count, first});
  if (entry.kept.size() > kBlocksKept) entry.kept.erase(entry.kept.begin());
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

std::string ProducerTable::Encode() const {
  std::string out(1, kFormat);
  PutNumber(out, producers_.size());
  for (const auto& [producer, entry] : producers_) {
    PutNumber(out, producer.value().size());
    out += producer.value();
    PutNumber(out, entry.epoch);
    PutNumber(out, entry.next_sequence);
    PutNumber(out, entry.kept.size());
    for (const Kept& kept : entry.kept) {
      PutNumber(out, kept.first_sequence);
      PutNumber(out, kept.event_count);
      PutNumber(out, kept.offset.value());
    }
  }
  return out;
}

absl::StatusOr<ProducerTable> ProducerTable::Decode(std::string_view bytes) {
  ProducerTable table;
  if (bytes.empty()) return table;
  if (bytes.front() != kFormat) {
    return absl::DataLossError(absl::StrCat("producer snapshot has format ",
                                            static_cast<int>(bytes.front()),
                                            "; this build reads format 1"));
  }
  Reader reader(bytes.substr(1));
  const uint64_t count = reader.Number();
  for (uint64_t i = 0; i < count && !reader.failed(); i++) {
    const ProducerId producer(reader.Name(EventLimits::kProducerIdBytesMax));
    Entry entry;
    entry.epoch = reader.Number();
    entry.next_sequence = reader.Number();
    const uint64_t kept = reader.Number();
    if (kept > kBlocksKept) return absl::DataLossError("producer snapshot keeps too many blocks");
    for (uint64_t k = 0; k < kept && !reader.failed(); k++) {
      const uint64_t first = reader.Number(), events = reader.Number();
      entry.kept.push_back({first, events, Offset(reader.Number())});
    }
    table.producers_[producer] = std::move(entry);
  }
  if (reader.failed() || !reader.AtEnd()) {
    return absl::DataLossError("producer snapshot is cut short or has bytes left over");
  }
  return table;
}

}  // namespace forebay
