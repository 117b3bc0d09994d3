// The Admin service: translates and posts. Inside rpc only.
#pragma once

#include "forebay/v1/admin.grpc.pb.h"
#include "rpc/service_context.h"

namespace forebay {

class AdminService final : public v1::Admin::CallbackService {
 public:
  explicit AdminService(ServiceContext context) : context_(context) {}

  grpc::ServerUnaryReactor* Status(grpc::CallbackServerContext* context,
                                   const v1::StatusRequest* request,
                                   v1::StatusResponse* response) override;
  grpc::ServerUnaryReactor* TakeOver(grpc::CallbackServerContext* context,
                                     const v1::AdminTakeOverRequest* request,
                                     v1::AdminTakeOverResponse* response) override;
  grpc::ServerUnaryReactor* Move(grpc::CallbackServerContext* context,
                                 const v1::MoveRequest* request,
                                 v1::MoveResponse* response) override;
  grpc::ServerUnaryReactor* DrainNode(grpc::CallbackServerContext* context,
                                      const v1::DrainNodeRequest* request,
                                      v1::DrainNodeResponse* response) override;
  grpc::ServerUnaryReactor* SetMaintenance(grpc::CallbackServerContext* context,
                                           const v1::SetMaintenanceRequest* request,
                                           v1::SetMaintenanceResponse* response) override;
  grpc::ServerUnaryReactor* SetAside(grpc::CallbackServerContext* context,
                                     const v1::SetAsideRequest* request,
                                     v1::SetAsideResponse* response) override;
  grpc::ServerUnaryReactor* CreateStream(grpc::CallbackServerContext* context,
                                         const v1::CreateStreamRequest* request,
                                         v1::CreateStreamResponse* response) override;

 private:
  const ServiceContext context_;
};

}  // namespace forebay
