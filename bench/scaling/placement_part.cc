// Where partitions and copies lie in a large fleet, what moves when nodes come and go, and how long
// a lost zone keeps the metadata store busy.
#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/numbers.h"
#include "cli/text_table.h"
#include "scaling/fleet.h"
#include "scaling/parts.h"
#include "scaling/storm.h"

namespace forebay::scaling {
namespace {

struct Shape {
  std::string name;
  FleetOptions fleet;
};

std::vector<size_t> Zones(size_t nodes, const std::vector<double>& shares) {
  std::vector<size_t> zones;
  size_t left = nodes;
  for (size_t i = 0; i + 1 < shares.size(); i++) {
    zones.push_back(static_cast<size_t>(static_cast<double>(nodes) * shares[i] + 0.5));
    left -= zones.back();
  }
  zones.push_back(left);
  return zones;
}

std::vector<Shape> Shapes(const Scale& scale) {
  const auto shape = [&](const char* name, const std::vector<double>& shares) {
    return Shape{name, {Zones(scale.nodes, shares), scale.partitions, scale.seed}};
  };
  constexpr double kThird = 1.0 / 3, kSixth = 1.0 / 6;
  return {shape("3 zones, even", {kThird, kThird, kThird}),
          shape("3 zones, 50/30/20 %", {0.5, 0.3, 0.2}),
          shape("6 zones, even", {kSixth, kSixth, kSixth, kSixth, kSixth, kSixth})};
}

std::string Text(const Spread& spread) {
  return absl::StrCat(spread.min, " / ", spread.median, " / ", spread.max);
}

nlohmann::json Json(const Spread& spread) {
  return {{"min", spread.min}, {"median", spread.median}, {"max", spread.max}, {"sum", spread.sum}};
}

// One fleet through its life: created, its last zone lost, repaired, the zone back, a node more.
class Story {
 public:
  explicit Story(const Shape& shape) : shape_(shape), fleet_(shape.fleet) {}

  void Tell() {
    Row("created", 0, "");
    const std::vector<Fleet::Partition> before = fleet_.partitions();
    fleet_.SetZoneAlive(fleet_.zones() - 1, false);
    const Spread taken = Spread::Of(fleet_.TakeOver());
    const uint64_t rolls = fleet_.Roll();
    Row("a zone is lost", taken.sum + rolls,
        absl::StrCat(Grouped(taken.sum), " takeovers, by each node ", Text(taken)));
    json_.back()["takeovers"] = Json(taken);
    json_.back()["rolls"] = rolls;
    Repair(before);
    fleet_.SetZoneAlive(fleet_.zones() - 1, true);
    Row("the zone is back", fleet_.Roll(), "");
    Age();
    Balance();
    fleet_.AddNode(0);
    Row("one node more", fleet_.Roll(), "");
    Age();
    Balance();
    std::cout << shape_.name << "\n" << table_.Text() << std::endl;
  }
  const nlohmann::json& json() const { return json_; }

 private:
  void Repair(const std::vector<Fleet::Partition>& before) {
    const RepairWork repair = fleet_.Repair(before);
    Row("repaired", repair.copies,
        absl::StrCat(Grouped(repair.copies), " copies of a sealed segment each, to each node ",
                     Text(repair.by_target), ", by each owner ", Text(repair.by_owner)));
    json_.back()["copies_made"] = repair.copies;
    json_.back()["by_target"] = Json(repair.by_target);
    json_.back()["by_owner"] = Json(repair.by_owner);
    json_.back()["short_of_copies"] = repair.short_of_copies;
  }

  // Until no node has given anything away for a while.
  void Balance() {
    uint64_t moves = 0, rounds = 0, most = 0;
    for (int still = 0; still < 10; rounds++) {
      const uint64_t now = fleet_.Balance();
      moves += now;
      most = std::max(most, now);
      still = now == 0 ? still + 1 : 0;
    }
    Row("owners evened out", moves,
        absl::StrCat(Grouped(moves), " hand-overs in ", rounds - 10, " rounds, at most ",
                     Grouped(most), " in one"));
    json_.back()["rounds"] = rounds - 10;
    json_.back()["most_in_a_round"] = most;
  }

  void Age() {
    const uint64_t moved = fleet_.RollAll();
    Row("10 min later", moved,
        absl::StrCat(Grouped(moved), " segments on other nodes than before"));
  }

  void Row(const std::string& step, uint64_t swaps, const std::string& note) {
    const Spread owned = fleet_.Owned(), copies = fleet_.Copies();
    const uint64_t unplaced = fleet_.unplaced();
    table_.Row({step, Grouped(fleet_.alive_count()), Text(owned), Text(copies), Grouped(unplaced),
                Grouped(swaps), note});
    json_.push_back({{"fleet", shape_.name},
                     {"step", step},
                     {"nodes", fleet_.alive_count()},
                     {"owned", Json(owned)},
                     {"copies", Json(copies)},
                     {"unplaced", unplaced},
                     {"swaps", swaps}});
  }

  const Shape& shape_;
  Fleet fleet_;
  TextTable table_{{"step", "nodes", "owned (min/median/max)", "copies", "unserved", "swaps", ""}};
  nlohmann::json json_ = nlohmann::json::array();
};

}  // namespace

nlohmann::json PlacementPart(const Scale& scale) {
  nlohmann::json all = nlohmann::json::array();
  for (const Shape& shape : Shapes(scale)) {
    Story story(shape);
    story.Tell();
    for (const nlohmann::json& row : story.json()) all.push_back(row);
  }
  return all;
}

nlohmann::json StormPart(const Scale& scale) {
  nlohmann::json all = nlohmann::json::array();
  TextTable table({"partitions", "store: swaps/s", "takeovers", "median s", "99 % s", "last s",
                   "within 2 s", "last roll s", "swaps", "wasted", "longest wait s"});
  for (const size_t divisor : {100, 20, 10, 5, 1}) {
    Fleet fleet(
        {Zones(scale.nodes, {1.0 / 3, 1.0 / 3, 1.0 / 3}), scale.partitions / divisor, scale.seed});
    fleet.SetZoneAlive(2, false);
    for (const double rate : {40'000.0, 15'000.0, 5'000.0}) {
      const StormOptions options{
          .swaps_per_second = rate, .reads_per_second = 3 * rate, .seed = scale.seed};
      const StormResult storm = RunStorm(fleet, options);
      // A store that is too slow is asked again and again, which takes long to simulate.
      std::cerr << absl::StrFormat("%s partitions, %s swaps/s: 99 %% in %.2f s, %s swaps sent\n",
                                   Grouped(scale.partitions / divisor),
                                   Grouped(static_cast<uint64_t>(rate)), storm.takeover_99,
                                   Grouped(storm.swaps));
      table.Row({Grouped(scale.partitions / divisor), Grouped(static_cast<uint64_t>(rate)),
                 Grouped(storm.takeovers), absl::StrFormat("%.2f", storm.takeover_median),
                 absl::StrFormat("%.2f", storm.takeover_99),
                 absl::StrFormat("%.2f", storm.takeover_last),
                 absl::StrFormat("%.1f %%", 100 * storm.within_two_seconds),
                 absl::StrFormat("%.2f", storm.last_roll), Grouped(storm.swaps),
                 Grouped(storm.swaps_wasted), absl::StrFormat("%.2f", storm.longest_queue)});
      all.push_back({{"partitions", scale.partitions / divisor},
                     {"swaps_per_second", rate},
                     {"takeovers", storm.takeovers},
                     {"takeover_median_s", storm.takeover_median},
                     {"takeover_99_s", storm.takeover_99},
                     {"takeover_last_s", storm.takeover_last},
                     {"within_two_seconds", storm.within_two_seconds},
                     {"last_roll_s", storm.last_roll},
                     {"swaps", storm.swaps},
                     {"swaps_wasted", storm.swaps_wasted},
                     {"reads", storm.reads},
                     {"by_second_in_line", storm.by_second_in_line},
                     {"by_node", Json(storm.by_node)},
                     {"longest_queue_s", storm.longest_queue}});
    }
  }
  std::cout << "A zone of three is lost\n" << table.Text() << std::endl;
  return all;
}

}  // namespace forebay::scaling
