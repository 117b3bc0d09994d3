// An operator sets a block aside: what is kept, what is written down, what is refused.
#include "buffer/set_aside.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "base/status.h"
#include "drain/dead_letter.h"
#include "metadata/memory_metadata_store.h"
#include "metadata/set_aside.h"
#include "support/drain_world.h"
#include "support/forge.h"
#include "support/sim_executor.h"

namespace forebay {
namespace {

using testing::HasSubstr;

class SetAsideCommandTest : public testing::Test {
 protected:
  SetAsideCommandTest() {
    backend_.read = [this](const PartitionId&, Offset from, size_t bytes_max,
                           RpcBackend::ReadDone done) { done(log_.Read(from, bytes_max)); };
    backend_.stream = [this](const StreamId& stream) {
      return streams_.contains(stream) ? std::optional(streams_[stream]) : std::nullopt;
    };
    backend_.create_stream = [this](const StreamOptions& options, RpcBackend::Done done) {
      streams_[options.name] = options;
      done(absl::OkStatus());
    };
    backend_.produce = [this](const StreamId& stream, const std::vector<Event>& events,
                              RpcBackend::ProduceDone done) {
      std::vector<AppendResult> results(events.size());
      for (AppendResult& result : results) result.status = produced_;
      if (produced_.ok()) {
        for (const Event& event : events) letters_[stream].push_back(event);
      }
      done(results);
    };
    streams_[partition_.stream].name = partition_.stream;
    streams_[partition_.stream].copies = 5;
    AddSetAside(store_, worker_, backend_);
  }

  void Spoil(size_t index) {
    const char codec = static_cast<char>(Codec::kZstd);
    log_.blocks[index].block = *Block::Parse(
        Forge(std::string(log_.blocks[index].block.bytes()), 5, std::string_view(&codec, 1)));
  }
  absl::StatusOr<SetAsideBlock> SetAside(uint64_t offset) {
    absl::StatusOr<SetAsideBlock> out = absl::UnknownError("no answer");
    backend_.set_aside(partition_, Offset(offset),
                       [&](absl::StatusOr<SetAsideBlock> block) { out = std::move(block); });
    simulation_.RunFor(absl::Minutes(1));
    return out;
  }
  bool Is(const SetAsideBlock& block) {
    bool out = false;
    backend_.is_set_aside(partition_, block,
                          [&](absl::StatusOr<bool> answer) { out = answer.ok() && *answer; });
    simulation_.RunFor(absl::Minutes(1));
    return out;
  }

  const PartitionId partition_{StreamId("web"), 3};
  Simulation simulation_;
  SimExecutor worker_{simulation_}, metadata_loop_{simulation_};
  std::shared_ptr<MemoryMetadata> metadata_ = std::make_shared<MemoryMetadata>(metadata_loop_);
  MemoryMetadataStore store_{metadata_, metadata_loop_, Random(1), {}};
  DrainLog log_;
  std::map<StreamId, StreamOptions> streams_;
  std::map<StreamId, std::vector<Event>> letters_;
  absl::Status produced_;
  RpcBackend backend_;
};

TEST_F(SetAsideCommandTest, KeepsTheBytesAndNamesThisBlockOnly) {
  log_.Append(60);
  Spoil(2);
  const auto block = SetAside(25);  // any offset in it
  ASSERT_TRUE(block.ok()) << block.status();
  EXPECT_EQ(block->first, Offset(20));
  EXPECT_EQ(block->end, Offset(30));
  EXPECT_TRUE(Is(*block));
  SetAsideBlock other = *block;
  other.checksum++;
  EXPECT_FALSE(Is(other));
  other = *block;
  other.end = other.end + 1;
  EXPECT_FALSE(Is(other));
  const auto& letters = letters_[StreamId("web.dead-letter")];
  ASSERT_EQ(letters.size(), 1u);
  EXPECT_TRUE(IsSetAsideLetter(letters[0]));
  EXPECT_TRUE(ValidateEvent(letters[0]).ok()) << ValidateEvent(letters[0]);
  std::string base64;
  absl::Base64Escape(View(log_.blocks[2].block.bytes()), &base64);
  EXPECT_THAT(letters[0].payload, HasSubstr(base64));
  EXPECT_THAT(letters[0].payload, HasSubstr("does not decompress"));
  // As safe as the stream whose block it keeps.
  EXPECT_EQ(streams_[StreamId("web.dead-letter")].copies, 5);
}

// G8: what can be delivered is not dropped, whoever asks.
TEST_F(SetAsideCommandTest, RefusesABlockThatCanBeDecoded) {
  log_.Append(60);
  EXPECT_TRUE(absl::IsFailedPrecondition(SetAside(25).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(SetAside(60).status()));
  EXPECT_TRUE(letters_.empty());
  EXPECT_TRUE(metadata_->Records(kSetAsidePrefix).empty());
}

// G8: the bytes are safe before anything passes over them.
TEST_F(SetAsideCommandTest, PassesOverNothingBeforeTheBytesAreKept) {
  log_.Append(60);
  Spoil(2);
  produced_ = absl::UnavailableError("no owner");
  EXPECT_TRUE(absl::IsUnavailable(SetAside(20).status()));
  EXPECT_TRUE(metadata_->Records(kSetAsidePrefix).empty());
  produced_ = absl::OkStatus();
  EXPECT_TRUE(SetAside(20).ok());
}

TEST_F(SetAsideCommandTest, TakesARepeatAndOthersOfThePartition) {
  log_.Append(60);
  Spoil(2);
  Spoil(4);
  const auto second = SetAside(40);
  const auto first = SetAside(20);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(*SetAside(29), *first);
  const auto record = DecodeSetAside(metadata_->Get(SetAsideKey(partition_))->value);
  ASSERT_TRUE(record.ok());
  EXPECT_THAT(record->blocks, testing::ElementsAre(*first, *second));
}

// G9
TEST_F(SetAsideCommandTest, IsRefusedWhereTooManyAre) {
  log_.Append(60);
  Spoil(2);
  SetAsideRecord full;
  for (uint64_t i = 0; i < SetAsideRecord::kBlocksMax; i++) {
    full.blocks.push_back({Offset(1000 + i), Offset(1001 + i), 1});
  }
  ASSERT_TRUE(metadata_->Swap(SetAsideKey(partition_), 0, Encode(full)).status().ok());
  const auto refused = SetAside(20).status();
  EXPECT_TRUE(absl::IsResourceExhausted(refused));
  EXPECT_THAT(refused.message(), HasSubstr("set-aside/web/3"));
}

TEST_F(SetAsideCommandTest, SpreadsALargeBlockOverSeveralLetters) {
  SetAsideLetter letter{"no", partition_, Offset(1), Offset(2), std::string(1 << 20, '\xFF')};
  const std::vector<Event> letters = EncodeSetAside(letter);
  EXPECT_EQ(letters.size(), 2u);
  for (const Event& event : letters) EXPECT_TRUE(ValidateEvent(event).ok()) << ValidateEvent(event);
}

}  // namespace
}  // namespace forebay
