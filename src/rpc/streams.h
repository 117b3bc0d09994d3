// Bidirectional streams over gRPC's callback API, safe to use from many threads. Inside rpc only.
//
// gRPC allows one write at a time, none after the end, and calls back on its own threads. Here each
// stream's next steps are taken by one thread at a time, with no lock held; what others want in
// the meantime is noted and done by that thread.
#pragma once

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/client_callback.h>
#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "runtime/mutex.h"

namespace forebay {

// Runs a step for whoever asks, one thread at a time; a thread that comes while another is at it
// leaves, and the step runs once more.
class Turns {
 public:
  template <typename Step>
  void Take(Step step) {
    if (wanted_.fetch_add(1, std::memory_order_acq_rel) != 0) return;
    uint32_t handled = 1;
    while (true) {
      step();
      const uint32_t before = wanted_.fetch_sub(handled, std::memory_order_acq_rel);
      if (before == handled) return;
      handled = before - handled;
    }
  }

 private:
  std::atomic<uint32_t> wanted_{0};
};

// The calling side. Made with std::make_shared; lives until gRPC is done with it.
template <typename Request, typename Response>
class ClientStream : public grpc::ClientBidiReactor<Request, Response>,
                     public std::enable_shared_from_this<ClientStream<Request, Response>> {
 public:
  // `call` starts the method: [&](context, reactor) { stub.async()->Exchange(context, reactor); }
  template <typename Call>
  void Begin(Call call) {
    itself_ = this->shared_from_this();
    call(&context_, this);
    // Steps may come from any thread until the hold is given back. (Not before the call: that is what
    // gives the reactor the stream to hold.)
    this->AddHold();
    this->StartCall();
    {
      MutexLock lock(mutex_);
      begun_ = true;
    }
    Wake();
  }
  // There may be something to write. Any thread.
  void Wake() {
    const auto keep = this->shared_from_this();
    turns_.Take([this] { Step(); });
  }
  // Cancels; OnEnd follows. Any thread.
  void End() {
    {
      MutexLock lock(mutex_);
      ending_ = true;
    }
    Wake();
  }

 protected:
  // Fills in the next request; false when there is none now. Not called concurrently.
  virtual bool Next(Request& request) = 0;
  // False: end the stream.
  virtual bool OnResponse(Response& response) = 0;
  // The last call, with what the server said.
  virtual void OnEnd(const grpc::Status& status) = 0;

  grpc::ClientContext& context() { return context_; }

 private:
  void OnReadDone(bool ok) final {
    if (ok) ok = OnResponse(response_);
    {
      MutexLock lock(mutex_);
      reading_ = false;
      if (!ok) ending_ = true;
    }
    Wake();
  }
  void OnWriteDone(bool ok) final {
    {
      MutexLock lock(mutex_);
      writing_ = false;
      if (!ok) ending_ = true;
    }
    Wake();
  }
  void OnDone(const grpc::Status& status) final {
    OnEnd(status);
    itself_.reset();
  }

  void Step() {
    bool cancel = false, read = false, write = false, release = false;
    {
      MutexLock lock(mutex_);
      if (!begun_ || released_) return;
      cancel = ending_ && !cancelled_;
      cancelled_ = cancelled_ || cancel;
      read = !ending_ && !reading_;
      reading_ = reading_ || read;
      write = !ending_ && !writing_;
      release = ending_ && !reading_ && !writing_;
      released_ = release;
    }
    if (cancel) context_.TryCancel();
    if (read) this->StartRead(&response_);
    if (write && Next(request_)) {
      {
        MutexLock lock(mutex_);
        writing_ = true;
      }
      this->StartWrite(&request_);
    }
    if (release) this->RemoveHold();
  }

  grpc::ClientContext context_;
  Request request_;
  Response response_;
  Turns turns_;
  std::shared_ptr<ClientStream> itself_;  // until OnDone: gRPC holds only a pointer

  Mutex mutex_;
  bool begun_ ABSL_GUARDED_BY(mutex_) = false;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  bool reading_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool released_ ABSL_GUARDED_BY(mutex_) = false;
};

// The answering side of a bidirectional stream.
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
