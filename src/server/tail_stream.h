// The node's side of Ingest.Tail.
#pragma once

#include <grpcpp/support/server_callback.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "forebay/v1/ingest.pb.h"
#include "rpc/turns.h"
#include "server/service_context.h"

namespace forebay {

// Reads, decodes, writes, in turns: in memory are one answer, and the blocks of one read as they
// are stored. Made with std::make_shared; lives until gRPC and its last read are done with it.
class TailStream final : public grpc::ServerWriteReactor<grpc::ByteBuffer>,
                         public std::enable_shared_from_this<TailStream> {
 public:
  TailStream(ServiceContext context, v1::TailRequest request);

  // Right after construction, before the reactor is returned to gRPC. Ends at once unless allowed.
  void Begin(absl::Status allowed);

 private:
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

  void OnStatus(const std::vector<PartitionStatus>& statuses);
  // Finds the first offset that can be read, from next_ on.
  void SeekOldest();
  void OnSought(absl::StatusOr<std::vector<StoredBlock>> blocks);
  void Read();
  void OnBlocks(absl::StatusOr<std::vector<StoredBlock>> blocks);
  bool HasEnded();
  absl::Status MissingBefore(Offset kept) const;
  // As much of blocks_ as an answer holds.
  void Send();
  // False when the answer is full, and next_ says before which event.
  bool Add(Offset first, const std::vector<Event>& events, size_t& bytes);
  // Passes over the block if an operator has set it aside, or ends there.
  void OnUndecodable(const StoredBlock& stored, const absl::Status& why);
  void SendResponse();
  void Wait();
  void End(absl::Status status);
  void Step();

  const ServiceContext context_;
  const v1::TailRequest request_;
  const PartitionId partition_;
  uint64_t stop_id_ = 0;
  BackendHolder::Held backend_;
  Turns turns_;
  std::shared_ptr<TailStream> itself_;  // until OnDone: gRPC holds only a pointer

  // Each belongs to the thread whose turn it is to read, decode or write.
  Offset next_;
  std::optional<Offset> end_;  // nothing: follow
  Offset oldest_known_;
  std::deque<StoredBlock> blocks_;  // read and not sent, or only in part
  v1::TailResponse response_;
  grpc::ByteBuffer bytes_;  // of the response that is written

  Mutex mutex_;
  std::optional<absl::Status> ending_ ABSL_GUARDED_BY(mutex_);
  bool response_ready_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace forebay
