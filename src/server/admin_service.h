// The Admin service: translates and posts.
#pragma once

#include "forebay/v1/admin.grpc.pb.h"
#include "server/service_context.h"

namespace forebay {

// Requests come as bytes (raw_message.h).
using RawAdmin = v1::Admin::WithRawCallbackMethod_Status<v1::Admin::WithRawCallbackMethod_TakeOver<
    v1::Admin::WithRawCallbackMethod_Move<v1::Admin::WithRawCallbackMethod_DrainNode<
        v1::Admin::WithRawCallbackMethod_SetMaintenance<v1::Admin::WithRawCallbackMethod_SetAside<
            v1::Admin::WithRawCallbackMethod_CreateStream<v1::Admin::Service>>>>>>>;

class AdminService final : public RawAdmin {
 public:
  explicit AdminService(ServiceContext context) : context_(context) {}

  grpc::ServerUnaryReactor* Status(grpc::CallbackServerContext* context,
                                   const grpc::ByteBuffer* request,
                                   grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* TakeOver(grpc::CallbackServerContext* context,
                                     const grpc::ByteBuffer* request,
                                     grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* Move(grpc::CallbackServerContext* context,
                                 const grpc::ByteBuffer* request,
                                 grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* DrainNode(grpc::CallbackServerContext* context,
                                      const grpc::ByteBuffer* request,
                                      grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* SetMaintenance(grpc::CallbackServerContext* context,
                                           const grpc::ByteBuffer* request,
                                           grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* SetAside(grpc::CallbackServerContext* context,
                                     const grpc::ByteBuffer* request,
                                     grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* CreateStream(grpc::CallbackServerContext* context,
                                         const grpc::ByteBuffer* request,
                                         grpc::ByteBuffer* response) override;

 private:
  const ServiceContext context_;
};

}  // namespace forebay
