// ClientStream: the calling side of a bidirectional stream over gRPC's callback API, safe to use
// from many threads.
//
// gRPC allows one write at a time, none after the end, and calls back on its own threads. Here the
// stream's next steps are taken by one thread at a time, with no lock held; what others want in
// the meantime is noted and done by that thread.
#pragma once

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/client_callback.h>

#include <memory>

#include "rpc/turns.h"
#include "runtime/mutex.h"

namespace forebay {

// Made with CallsInFlight::Track; lives until gRPC is done with it.
template <typename Request, typename Response>
class ClientStream : public grpc::ClientBidiReactor<Request, Response>,
                     public std::enable_shared_from_this<ClientStream<Request, Response>> {
 public:
  // `call` starts the method: [&](context, reactor) { stub.async()->Exchange(context, reactor); }
  template <typename Call>
  void Begin(Call call) {
    itself_ = this->shared_from_this();
    call(&context_, this);
    // Steps may come from any thread until the hold is given back. (Not before the call: that is
    // what gives the reactor the stream to hold.)
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

}  // namespace forebay
