#include "model/search.h"

#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <type_traits>

namespace forebay::model {
namespace {

// States are compared and hashed as bytes, so they must have no padding.
static_assert(std::has_unique_object_representations_v<State>);
static_assert(sizeof(State) % sizeof(uint64_t) == 0);

constexpr uint64_t kOdd = 0x9E3779B97F4A7C15;

uint64_t Hash(const State& s) {
  uint64_t hash = kOdd, word = 0;
  const char* bytes = reinterpret_cast<const char*>(&s);
  for (size_t i = 0; i < sizeof s; i += sizeof word) {
    std::memcpy(&word, bytes + i, sizeof word);
    hash = (hash ^ word) * 0xFF51AFD7ED558CCD;
    hash ^= hash >> 32;
  }
  return hash;
}

bool Same(const State& a, const State& b) { return std::memcmp(&a, &b, sizeof a) == 0; }

uint64_t Place(uint64_t hash, uint64_t mask) { return (hash * kOdd >> 20) & mask; }

void PrintStep(size_t number, const Step& step) {
  std::printf("  %2zu. %s", number, step.what);
  for (const int value : {step.a, step.b, step.c})
    if (value >= 0) std::printf(" %d", value);
  std::printf("\n");
}

void PrintState(const State& s) {
  for (int e = 0; e < s.segments; e++) {
    std::printf("      segment %d: owner %d base %d end %d replicas %d | logs", e, s.owner[e],
                s.base[e], s.end[e] == kOpen ? -1 : s.end[e], s.replicas[e]);
    for (const auto& log : s.log) {
      std::printf(" ");
      for (int o = 0; o < kOffsets; o++) std::printf("%d", log[e] >> (2 * o) & 3);
    }
    std::printf("\n");
  }
  std::printf("      acknowledged at");
  for (const int end : s.acked) std::printf(" %d", end - 1);
  std::printf(" | sink");
  for (int o = 0; o < s.sink_next; o++) std::printf(" %d", s.sink[o]);
  std::printf("\n");
}

}  // namespace

Search::Search(const Options& options)
    : options_(options), rules_(options), table_(uint64_t{1} << 20) {}

Verdict Search::Run() {
  Add(rules_.Start(), 0);
  int depth = 0;
  uint32_t level_end = 1;
  for (uint32_t id = 0; id < size_; id++) {
    if (id == level_end) {
      depth++;
      level_end = size_;
    }
    if (!Expand(id)) break;
    if (size_ > options_.states_max) {
      std::printf("NOT EXHAUSTIVE: %" PRIu32 " states, depth %d, no invariant breaks so far\n",
                  size_, depth);
      return Verdict::kNotExhaustive;
    }
  }
  std::printf("states %" PRIu32 ", transitions %" PRIu64 ", depth %d: ", size_, transitions_,
              depth);
  if (broken_) {
    std::printf("BROKEN %s\n", broken_);
    PrintTrace(broken_at_);
    return Verdict::kBroken;
  }
  std::printf("no invariant breaks\n");
  return options_.liveness ? CheckLiveness() : Verdict::kHolds;
}

bool Search::Expand(uint32_t id) {
  const State s = At(id);
  if (options_.liveness) first_edge_.push_back(edges_.size());
  rules_.Next(s, [&](const State& t, const Step& step) {
    if (broken_) return;
    const uint32_t before = size_;
    const uint32_t to = Add(t, id);
    transitions_++;
    if (options_.liveness && !step.fault) edges_.push_back(to);
    if (size_ == before) return;
    broken_ = rules_.Broken(t);
    broken_at_ = to;
  });
  return broken_ == nullptr;
}

uint32_t Search::Add(const State& s, uint32_t from) {
  if (size_ * uint64_t{2} > table_.size()) Grow();
  const uint64_t hash = Hash(s), mask = table_.size() - 1;
  for (uint64_t i = Place(hash, mask);; i = (i + 1) & mask) {
    if (table_[i] == 0) {
      table_[i] = (hash & 0xFFFFFFFF00000000) | (size_ + 1);
      if (size_ % kChunk == 0) chunks_.push_back(std::make_unique_for_overwrite<State[]>(kChunk));
      chunks_.back()[size_ % kChunk] = s;
      parent_.push_back(from);
      return size_++;
    }
    const auto id = static_cast<uint32_t>(table_[i]) - 1;
    if ((table_[i] ^ hash) >> 32 == 0 && Same(At(id), s)) return id;
  }
}

void Search::Grow() {
  table_.assign(table_.size() * 2, 0);
  const uint64_t mask = table_.size() - 1;
  for (uint32_t id = 0; id < size_; id++) {
    const uint64_t hash = Hash(At(id));
    uint64_t i = Place(hash, mask);
    while (table_[i] != 0) i = (i + 1) & mask;
    table_[i] = (hash & 0xFFFFFFFF00000000) | (id + 1);
  }
}

void Search::PrintTrace(uint32_t id) const {
  if (!options_.trace) return;
  std::vector<uint32_t> path{id};
  while (path.back() != 0) path.push_back(parent_[path.back()]);
  for (size_t k = path.size() - 1; k > 0; k--) {
    const State& to = At(path[k - 1]);
    bool printed = false;
    rules_.Next(At(path[k]), [&](const State& t, const Step& step) {
      if (printed || !Same(t, to)) return;
      printed = true;
      PrintStep(path.size() - k, step);
    });
  }
  PrintState(At(id));
}

std::vector<bool> Search::StatesThatFinish() const {
  std::vector<bool> finish(size_);
  for (uint32_t id = 0; id < size_; id++) finish[id] = rules_.Done(At(id));
  for (bool again = true; again;) {
    again = false;
    for (uint32_t id = size_; id-- > 0;) {
      for (uint64_t k = first_edge_[id]; k < first_edge_[id + 1] && !finish[id]; k++)
        if (finish[edges_[k]]) finish[id] = again = true;
    }
  }
  return finish;
}

Verdict Search::CheckLiveness() {
  first_edge_.push_back(edges_.size());
  const std::vector<bool> finish = StatesThatFinish();
  uint64_t checked = 0, stuck = 0;
  uint32_t first = 0;
  for (uint32_t id = 0; id < size_; id++) {
    if (At(id).segments >= options_.epochs) continue;
    checked++;
    if (!finish[id] && stuck++ == 0) first = id;
  }
  std::printf("liveness: %" PRIu64 " states checked, %" PRIu64 " cannot finish\n", checked, stuck);
  if (stuck == 0) return Verdict::kHolds;
  PrintTrace(first);
  return Verdict::kStuck;
}

}  // namespace forebay::model
