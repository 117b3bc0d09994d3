// RocksWalStore against the contract of WalStore, and what is its own.
#include "support/rocks_harness.h"
#include "wal_store_contract.h"

namespace forebay {
namespace {

INSTANTIATE_TEST_SUITE_P(Rocks, WalStoreContract, testing::Values([] {
                           return std::unique_ptr<WalHarness>(new RocksHarness);
                         }));

}  // namespace
}  // namespace forebay
