// Visits every state that can be reached, nearest first: the first one that breaks an invariant has
// a shortest way to it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "model/rules.h"

namespace forebay::model {

// What the program's exit status says.
enum class Verdict { kHolds = 0, kBroken = 1, kStuck = 2, kNotExhaustive = 3 };

class Search {
 public:
  explicit Search(const Options& options);

  // Prints what it found, with the trace to it if the options say so.
  Verdict Run();

 private:
  static constexpr uint32_t kChunk = 1 << 16;

  const State& At(uint32_t id) const { return chunks_[id / kChunk][id % kChunk]; }
  // The state's number; a new one if it was not reached before.
  uint32_t Add(const State& s, uint32_t from);
  void Grow();
  // Adds all states one step from `id`; false when one of them breaks an invariant.
  bool Expand(uint32_t id);
  // From every state with room for one more segment, some way without a fault ends with everything
  // acknowledged and delivered.
  Verdict CheckLiveness();
  std::vector<bool> StatesThatFinish() const;
  void PrintTrace(uint32_t id) const;

  const Options& options_;
  const Rules rules_;
  std::vector<std::unique_ptr<State[]>> chunks_;
  std::vector<uint32_t> parent_;
  std::vector<uint64_t> table_;  // upper half: part of the hash; lower half: number + 1, 0 is free
  std::vector<uint32_t> edges_;  // steps that are no fault, by the state they start from
  std::vector<uint64_t> first_edge_;
  uint32_t size_ = 0;
  uint64_t transitions_ = 0;
  const char* broken_ = nullptr;
  uint32_t broken_at_ = 0;
};

}  // namespace forebay::model
