#include "testbed/cluster_levels.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace forebay {
namespace {

constexpr double kMiB = 1 << 20;

// Files come and go while this looks.
double BytesBelow(const std::string& directory) {
  std::error_code error;
  double sum = 0;
  for (std::filesystem::recursive_directory_iterator at(directory, error), end; !error && at != end;
       at.increment(error)) {
    std::error_code gone;
    if (!at->is_regular_file(gone)) continue;
    const uintmax_t size = at->file_size(gone);
    if (!gone) sum += static_cast<double>(size);
  }
  return sum;
}

double EntriesOf(const std::string& directory) {
  std::error_code error;
  double count = 0;
  for (std::filesystem::directory_iterator at(directory, error), end; !error && at != end;
       at.increment(error)) {
    count++;
  }
  return count;
}

double Median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

NodeLevels LevelsOf(int process, const std::string& data_directory) {
  std::ifstream file(absl::StrCat("/proc/", process, "/status"));
  double memory = 0, threads = 0;
  std::string name;
  while (file >> name) {
    if (name == "VmRSS:") file >> memory;
    if (name == "Threads:") file >> threads;
  }
  if (memory == 0) return {};  // it has ended
  return {memory * 1024 / kMiB, threads, EntriesOf(absl::StrCat("/proc/", process, "/fd")),
          BytesBelow(data_directory) / kMiB};
}

void ClusterLevels::Note(absl::Duration at, absl::Span<const NodeLevels> nodes) {
  for (const NodeLevels& levels : nodes) {
    if (levels != NodeLevels()) samples_.push_back({at, levels});
  }
}

std::vector<LevelsRow> ClusterLevels::Rows() const {
  if (samples_.empty()) return {};
  const absl::Duration quarter = samples_.back().at / 4;
  std::vector<LevelsRow> rows;
  for (size_t i = 0; i < kLevelNames.size(); ++i) {
    std::vector<double> second, last;
    LevelsRow row;
    for (const Sample& sample : samples_) {
      const double value = sample.levels.at(i);
      if (sample.at >= quarter && sample.at < 2 * quarter) second.push_back(value);
      if (sample.at >= 3 * quarter) last.push_back(value);
      row.largest = std::max(row.largest, value);
    }
    if (second.empty() || last.empty()) return {};
    row.second_quarter = Median(std::move(second));
    row.last_quarter = Median(std::move(last));
    rows.push_back(row);
  }
  return rows;
}

}  // namespace forebay
