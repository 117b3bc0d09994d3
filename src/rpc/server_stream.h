// ServerStream: the answering side of a bidirectional stream, as ClientStream is the calling side.
// Inside rpc only.
#pragma once

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/server_callback.h>

#include <memory>
#include <utility>

#include "rpc/turns.h"
#include "runtime/mutex.h"

namespace forebay {

// Made with std::make_shared; lives until gRPC is done with it.
template <typename Request, typename Response>
class ServerStream : public grpc::ServerBidiReactor<Request, Response>,
                     public std::enable_shared_from_this<ServerStream<Request, Response>> {
 public:
  // Right after construction, before the reactor is returned to gRPC.
  void Begin() {
    itself_ = this->shared_from_this();
    Wake();
  }
  // There may be something to write, or room to read. Any thread.
  void Wake() {
    const auto keep = this->shared_from_this();
    turns_.Take([this] { Step(); });
  }
  // The first status counts. What Next still has is written first unless the caller has gone.
  void End(grpc::Status status) {
    {
      MutexLock lock(mutex_);
      if (!ending_) status_ = std::move(status);
      ending_ = true;
    }
    Wake();
  }

 protected:
  // False: end the stream with `status`. Not called concurrently.
  virtual bool OnRequest(Request& request, grpc::Status& status) = 0;
  // The caller sends no more. True: end now; false: End follows.
  virtual bool OnRequestsDone() = 0;
  // Fills in the next response; false when there is none now. Not called concurrently.
  virtual bool Next(Response& response) = 0;
  // Whether there is room for another request.
  virtual bool MayRead() { return true; }
  // The last call.
  virtual void OnEnd() {}

 private:
  void OnReadDone(bool ok) final {
    grpc::Status status;
    const bool go_on = ok && OnRequest(request_, status);
    const bool end = ok ? !go_on : OnRequestsDone();
    {
      MutexLock lock(mutex_);
      reading_ = false;
      reads_over_ = reads_over_ || !go_on;
    }
    if (end) {
      End(std::move(status));
    } else {
      Wake();
    }
  }
  void OnWriteDone(bool ok) final {
    {
      MutexLock lock(mutex_);
      writing_ = false;
      gone_ = gone_ || !ok;
      ending_ = ending_ || !ok;
    }
    Wake();
  }
  void OnCancel() final {
    {
      MutexLock lock(mutex_);
      gone_ = true;
      ending_ = true;
    }
    Wake();
  }
  void OnDone() final {
    OnEnd();
    itself_.reset();
  }

  void Step() {
    bool read = false, write = false;
    {
      MutexLock lock(mutex_);
      if (finished_) return;
      read = !ending_ && !reading_ && !reads_over_;
      write = !gone_ && !writing_;
    }
    if (read && MayRead()) {
      {
        MutexLock lock(mutex_);
        reading_ = true;
      }
      this->StartRead(&request_);
    }
    if (write && Next(response_)) {
      {
        MutexLock lock(mutex_);
        writing_ = true;
      }
      this->StartWrite(&response_);
      return;
    }
    grpc::Status status;
    {
      MutexLock lock(mutex_);
      if (!ending_ || writing_) return;
      finished_ = true;
      status = status_;
    }
    this->Finish(status);
  }

  Request request_;
  Response response_;
  Turns turns_;
  std::shared_ptr<ServerStream> itself_;  // until OnDone: gRPC holds only a pointer

  Mutex mutex_;
  grpc::Status status_ ABSL_GUARDED_BY(mutex_);
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  bool gone_ ABSL_GUARDED_BY(mutex_) = false;  // the caller; writing is in vain
  bool reading_ ABSL_GUARDED_BY(mutex_) = false;
  bool reads_over_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace forebay
