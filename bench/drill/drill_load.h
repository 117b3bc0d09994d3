// The producers of a drill: they send events at a steady rate, whatever the answers, and write down
// what became of each.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "drill/drill_verdict.h"
#include "forebay/client.h"
#include "forebay/clock.h"
#include "runtime/mutex.h"
#include "runtime/thread_executor.h"
#include "testbed/event_source.h"

namespace forebay {

struct DrillLoadOptions {
  std::vector<std::string> nodes;
  TlsOptions tls;
  StreamId stream;
  int producers = 4;
  uint64_t events = 0;  // 0: until StopSending
  double rate = 0;      // events per second, of all producers together
};

struct DrillLoadCounts {
  uint64_t sent = 0;
  uint64_t acknowledged = 0;
  uint64_t failed = 0;  // not stored, or unknown
};

// Thread-safe. The clock and the source must outlive it.
class DrillLoad {
 public:
  static absl::StatusOr<std::unique_ptr<DrillLoad>> Connect(const DrillLoadOptions& options,
                                                            const EventSource& source,
                                                            Clock& clock);
  ~DrillLoad();

  void Start();
  DrillLoadCounts counts() const;
  // Nothing more is sent, soon.
  void StopSending();
  bool AllSent() const;
  // What the first appends that failed were told.
  std::vector<std::string> failures() const;
  // Waits until everything sent is settled. DEADLINE_EXCEEDED.
  absl::Status Finish(absl::Duration limit);
  // After Finish.
  std::vector<DrillLog> logs() const;

 private:
  struct Producer;

  DrillLoad(const DrillLoadOptions& options, const EventSource& source, Clock& clock);
  void SendDue(Producer& producer, absl::Time start);
  void Settle(Producer& producer, size_t index, const AppendResult& result);

  const DrillLoadOptions options_;
  const EventSource& source_;
  Clock& clock_;
  std::vector<std::unique_ptr<Producer>> producers_;
};

}  // namespace forebay
