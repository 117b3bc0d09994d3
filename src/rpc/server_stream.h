// ServerStream: the answering side of a bidirectional stream, as ClientStream is the calling side.
//
#pragma once

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "rpc/turns.h"
#include "runtime/executor.h"
#include "runtime/mutex.h"
#include "wire/status_wire.h"

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
  // Ends the stream if nothing has come until then: a caller that opens one and says nothing holds
  // it for no reason. After Begin.
  void EndUnlessHeardWithin(absl::Duration limit, Executor& executor) {
    executor.PostAfter(limit, [weak = this->weak_from_this(), limit] {
      const auto stream = weak.lock();
      if (stream != nullptr && !stream->heard_) {
        stream->End(ToGrpc(absl::DeadlineExceededError(
            absl::StrCat("nothing was sent within ", absl::FormatDuration(limit)))));
      }
    });
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
    // gRPC does not tell a message that it cannot parse from the end.
    if (!ok && !heard_) {
      status = {grpc::StatusCode::INVALID_ARGUMENT, "the stream held no message that can be read"};
    }
    heard_ = true;
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
  std::atomic<bool> heard_{false};
  std::shared_ptr<ServerStream> itself_;  // until OnDone: gRPC holds only a pointer

  Mutex mutex_;
  grpc::Status status_ ABSL_GUARDED_BY(mutex_);
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  bool gone_ ABSL_GUARDED_BY(mutex_) = false;  // the caller; writing is of no use
  bool reading_ ABSL_GUARDED_BY(mutex_) = false;
  bool reads_over_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

// Ends a stream before it begins. Deletes itself.
template <typename Request, typename Response>
class RefusedStream final : public grpc::ServerBidiReactor<Request, Response> {
 public:
  explicit RefusedStream(const grpc::Status& status) { this->Finish(status); }

 private:
  void OnDone() final { delete this; }
};

template <typename Request, typename Response>
grpc::ServerBidiReactor<Request, Response>* Refuse(const absl::Status& status) {
  return new RefusedStream<Request, Response>(ToGrpc(status));
}

}  // namespace forebay
