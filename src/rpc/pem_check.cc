#include "rpc/pem_check.h"

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>

#include "absl/strings/str_cat.h"

namespace forebay {
namespace {

template <auto kFree>
struct Freed {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using File = std::unique_ptr<BIO, Freed<BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using Store = std::unique_ptr<X509_STORE, Freed<X509_STORE_free>>;
using Verification = std::unique_ptr<X509_STORE_CTX, Freed<X509_STORE_CTX_free>>;

void FreeAll(STACK_OF(X509) * certificates) { sk_X509_pop_free(certificates, X509_free); }
using Chain = std::unique_ptr<STACK_OF(X509), Freed<FreeAll>>;

absl::Status Wrong(const std::string& setting, const std::string& path, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat("tls.", setting, ": '", path, "' ", what));
}

// A key with a passphrase: nobody is there to type it.
int NoPassphrase(char*, int, int, void*) { return 0; }

// All certificates of a file, in its order.
absl::StatusOr<Chain> ReadCertificates(const std::string& setting, const std::string& path) {
  const File file(BIO_new_file(path.c_str(), "r"));
  if (file == nullptr) return Wrong(setting, path, "cannot be read");
  Chain chain(sk_X509_new_null());
  while (X509* certificate = PEM_read_bio_X509(file.get(), nullptr, NoPassphrase, nullptr)) {
    sk_X509_push(chain.get(), certificate);
  }
  if (sk_X509_num(chain.get()) == 0) return Wrong(setting, path, "holds no PEM certificate");
  return chain;
}

}  // namespace

absl::Status CheckPem(const TlsOptions& tls, const std::string& name) {
  const absl::StatusOr<Chain> ca = ReadCertificates("ca", tls.ca);
  if (!ca.ok()) return ca.status();
  if (tls.certificate.empty()) return absl::OkStatus();
  const absl::StatusOr<Chain> chain = ReadCertificates("certificate", tls.certificate);
  if (!chain.ok()) return chain.status();
  X509* const own = sk_X509_value(chain->get(), 0);

  const File key_file(BIO_new_file(tls.key.c_str(), "r"));
  if (key_file == nullptr) return Wrong("key", tls.key, "cannot be read");
  const Key key(PEM_read_bio_PrivateKey(key_file.get(), nullptr, NoPassphrase, nullptr));
  if (key == nullptr) return Wrong("key", tls.key, "holds no PEM key without a passphrase");
  if (X509_check_private_key(own, key.get()) != 1) {
    return Wrong("key", tls.key, absl::StrCat("is not the key of ", tls.certificate));
  }

  const Store store(X509_STORE_new());
  for (int i = 0; i < sk_X509_num(ca->get()); i++) {
    X509_STORE_add_cert(store.get(), sk_X509_value(ca->get(), i));
  }
  const Verification verification(X509_STORE_CTX_new());
  X509_STORE_CTX_init(verification.get(), store.get(), own, chain->get());
  if (X509_verify_cert(verification.get()) != 1) {
    const int why = X509_STORE_CTX_get_error(verification.get());
    return Wrong(
        "certificate", tls.certificate,
        absl::StrCat("is not accepted by ", tls.ca, ": ", X509_verify_cert_error_string(why)));
  }
  if (!name.empty() && X509_check_host(own, name.c_str(), name.size(),
                                       X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, nullptr) != 1) {
    return Wrong(
        "certificate", tls.certificate,
        absl::StrCat("does not name this node: it needs the subject alternative name DNS:", name));
  }
  return absl::OkStatus();
}

}  // namespace forebay
