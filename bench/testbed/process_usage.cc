#include "testbed/process_usage.h"

#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"

namespace forebay {
namespace {

double CpuSeconds(pid_t process) {
  std::ifstream file(absl::StrCat("/proc/", process, "/stat"));
  std::string text;
  std::getline(file, text);
  // The second field is the name in parentheses, which may hold spaces; utime and stime are the
  // 14th and 15th.
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream rest(text.substr(name_end + 2));
  std::string skipped;
  for (int field = 3; field < 14; ++field) rest >> skipped;
  double user = 0, system = 0;
  rest >> user >> system;
  return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

uint64_t WrittenBytes(pid_t process) {
  std::ifstream file(absl::StrCat("/proc/", process, "/io"));
  std::string name;
  uint64_t value = 0;
  while (file >> name >> value) {
    if (name == "write_bytes:") return value;
  }
  return 0;
}

}  // namespace

ProcessUsage UsageOf(const std::vector<pid_t>& processes) {
  ProcessUsage sum;
  for (const pid_t process : processes) {
    sum.cpu_seconds += CpuSeconds(process);
    sum.written_bytes += WrittenBytes(process);
  }
  return sum;
}

ProcessUsage UsageOfThisProcess() { return UsageOf({::getpid()}); }

}  // namespace forebay
