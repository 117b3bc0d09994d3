#include "scaling/storm.h"

#include <algorithm>
#include <cmath>
#include <queue>
#include <utility>

#include "absl/time/time.h"
#include "runtime/random.h"

namespace forebay::scaling {
namespace {

constexpr double kCostOfDropping = 0.1;  // of what the call would have cost
constexpr size_t kPlaces = 100;          // of the line: 40 s

enum class What { kBegin, kRead, kSwap };

// One step of one node about one partition.
struct Event {
  double time;
  uint64_t order;  // of scheduling, so that a run repeats itself
  What what;
  size_t partition;
  size_t place;  // in the line; of a roll: always 0
  bool operator>(const Event& other) const {
    return time != other.time ? time > other.time : order > other.order;
  }
};

struct State {
  bool takeover = false;  // else a roll
  bool swapped = false;
  size_t place = 0;  // of who won
  double swapped_at = 0;
  double served_at = -1;     // the winner knows
  std::vector<size_t> line;  // of nodes, once it is asked for
};

class Storm {
 public:
  Storm(const Fleet& fleet, const StormOptions& options)
      : fleet_(fleet), options_(options), random_(options.seed) {
    for (size_t i = 0; i < fleet.nodes().size(); i++) {
      // When it last heard of the zone, when it looks for silence, and when it surveys.
      const double suspects = options.suspect_after + Uniform(options.heartbeat_every) +
                              Uniform(options.heartbeat_every);
      const double phase = Uniform(options.survey_every);
      first_survey_.push_back(phase + std::ceil((suspects - phase) / options.survey_every) *
                                          options.survey_every);
    }
  }

  StormResult Run() {
    states_.resize(fleet_.partitions().size());
    for (size_t i = 0; i < states_.size(); i++) Begin(i);
    while (!events_.empty()) {
      const Event event = events_.top();
      events_.pop();
      Step(event);
    }
    return Report();
  }

 private:
  double Uniform(double below) {
    return absl::ToDoubleSeconds(random_.Between(absl::ZeroDuration(), absl::Seconds(below)));
  }
  void At(double time, What what, const Event& like) {
    events_.push({time, next_++, what, like.partition, like.place});
  }

  void Begin(size_t index) {
    const Fleet::Partition& partition = fleet_.partitions()[index];
    State& state = states_[index];
    state.takeover = !fleet_.alive(partition.owner);
    if (state.takeover) {
      BeginPlace(index, 0);
      return;
    }
    const bool due = std::any_of(
        partition.open.replicas.begin(), partition.open.replicas.end(),
        [&](const Replica& replica) { return !fleet_.alive(fleet_.IndexOfNode(replica.node)); });
    if (!due || !options_.rolls) return;
    result_.rolls++;
    events_.push({first_survey_[partition.owner], next_++, What::kRead, index, 0});
  }

  // Most are taken over by the first in line, and nobody asks for the others.
  size_t NodeAt(size_t index, size_t place) {
    if (place == 0) return fleet_.FirstInLine(fleet_.partitions()[index]);
    std::vector<size_t>& line = states_[index].line;
    if (line.empty()) line = fleet_.Line(fleet_.partitions()[index], kPlaces);
    return place < line.size() ? line[place] : fleet_.nodes().size();
  }

  // The next in line waits a step longer, and begins at its survey.
  void BeginPlace(size_t index, size_t place) {
    const size_t node = NodeAt(index, place);
    if (node >= fleet_.nodes().size()) return;
    const double wait = absl::ToDoubleSeconds(kTakeoverStep) * static_cast<double>(place);
    const double surveys = std::ceil(wait / options_.survey_every - 1e-9);
    const double begins = first_survey_[node] + surveys * options_.survey_every;
    events_.push({begins, next_++, What::kBegin, index, place});
  }

  void Step(const Event& event) {
    State& state = states_[event.partition];
    if (event.what == What::kBegin) {
      if (state.swapped && state.swapped_at + options_.news <= event.time) return;
      BeginPlace(event.partition, event.place + 1);
      At(event.time + options_.fence, What::kSwap, event);
      return;
    }
    const bool is_read = event.what == What::kRead;
    is_read ? result_.reads++ : result_.swaps++;
    double cost = 1 / (is_read ? options_.reads_per_second : options_.swaps_per_second);
    // A call that nobody waits for any more is dropped when its turn comes, for little.
    const bool in_time = free_at_ - event.time < options_.call_timeout;
    if (!in_time) cost *= kCostOfDropping;
    free_at_ = std::max(free_at_, event.time) + cost;
    result_.longest_queue = std::max(result_.longest_queue, free_at_ - event.time);
    if (in_time) {
      is_read ? AfterRead(event) : AfterSwap(event);
      return;
    }
    if (!is_read) result_.swaps_wasted++;
    const double again = event.time + options_.call_timeout + options_.retry_after;
    if (again < options_.give_up_after) At(again, event.what, event);
  }

  // A roll asks first whether the store is there; a takeover whose swap failed, what there is.
  void AfterRead(const Event& event) {
    State& state = states_[event.partition];
    if (!state.takeover && !state.swapped) At(free_at_, What::kSwap, event);
  }

  void AfterSwap(const Event& event) {
    State& state = states_[event.partition];
    if (state.swapped) {
      result_.swaps_wasted++;
      At(free_at_, What::kRead, event);
      return;
    }
    state.swapped = true;
    state.swapped_at = free_at_;
    state.place = event.place;
  }

  StormResult Report() {
    std::vector<double> served;
    std::vector<uint64_t> by_node(fleet_.nodes().size(), 0);
    for (size_t i = 0; i < states_.size(); i++) {
      const State& state = states_[i];
      if (!state.swapped) continue;
      if (!state.takeover) {
        result_.last_roll = std::max(result_.last_roll, state.swapped_at);
        continue;
      }
      served.push_back(state.swapped_at);
      if (state.place > 0) result_.by_second_in_line++;
      by_node[NodeAt(i, state.place)]++;
    }
    std::sort(served.begin(), served.end());
    result_.takeovers = served.size();
    if (!served.empty()) {
      result_.takeover_median = served[served.size() / 2];
      result_.takeover_99 = served[served.size() * 99 / 100];
      result_.takeover_last = served.back();
      result_.within_two_seconds =
          static_cast<double>(std::upper_bound(served.begin(), served.end(), 2.0) -
                              served.begin()) /
          static_cast<double>(served.size());
    }
    std::vector<uint64_t> of_live;
    for (size_t i = 0; i < by_node.size(); i++) {
      if (fleet_.alive(i)) of_live.push_back(by_node[i]);
    }
    result_.by_node = Spread::Of(std::move(of_live));
    return result_;
  }

  const Fleet& fleet_;
  const StormOptions& options_;
  Random random_;
  std::vector<double> first_survey_;  // of each node that finds the zone gone
  std::vector<State> states_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  uint64_t next_ = 0;
  double free_at_ = 0;  // when the store has done all that it was asked
  StormResult result_;
};

}  // namespace

StormResult RunStorm(const Fleet& fleet, const StormOptions& options) {
  return Storm(fleet, options).Run();
}

}  // namespace forebay::scaling
