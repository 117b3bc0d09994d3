// Cluster status and stream settings as proto/forebay/v1/admin.proto.
#pragma once

#include "absl/status/statusor.h"
#include "forebay/v1/admin.pb.h"
#include "node_api/rpc_backend.h"

namespace forebay {

void ToWire(const NodeStatus& node, v1::NodeState& wire);
void ToWire(const PartitionStatus& partition, v1::PartitionState& wire);
void ToWire(const SinkState& sink, v1::SinkState& wire);
void ToWire(const OwnerStages& stages, v1::StatusResponse& wire);
NodeStatus FromWire(const v1::NodeState& wire);
PartitionStatus FromWire(const v1::PartitionState& wire);
SinkState FromWire(const v1::SinkState& wire);
// Stages that this build does not know are left out.
OwnerStages StagesIn(const v1::StatusResponse& wire);

void ToWire(const MaintenanceRecord& record, v1::SetMaintenanceRequest& wire);
// INVALID_ARGUMENT: not exactly one of node and zone; a replacement of a zone, or of itself.
absl::StatusOr<MaintenanceRecord> FromWire(const v1::SetMaintenanceRequest& wire);

void ToWire(const StreamOptions& options, v1::CreateStreamRequest& wire);
// With the defaults where nothing is given. INVALID_ARGUMENT: a word that is not known.
absl::StatusOr<StreamOptions> FromWire(const v1::CreateStreamRequest& wire);

}  // namespace forebay
