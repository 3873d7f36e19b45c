#pragma once

#include <kuva/net/stream.hpp>
#include <kuva/ul/pdu.hpp>

#include <chrono>
#include <concepts>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace kuva::ul {

struct Timeouts {
  std::chrono::milliseconds associate{30'000};  // answer to A-ASSOCIATE-RQ; ARTIM of the acceptor (PS3.8 9.1.5)
  std::chrono::milliseconds stall{60'000};      // a write that makes no progress
  std::chrono::milliseconds release{10'000};    // answer to A-RELEASE-RQ
  std::chrono::milliseconds abort{5'000};       // writing A-ABORT and waiting for the peer to close
};

// A context that both sides agreed on.
struct AcceptedContext {
  std::uint8_t id = 1;
  std::string abstract_syntax;
  std::string transfer_syntax;
  bool scu = true;  // the role of *this* side (PS3.7 D.3.3.4)
  bool scp = false;
};

// Bytes of a data set to send: fills the buffer, fewer than asked only at the end, 0 at the end. May throw Error.
using DataProducer = std::function<std::size_t(std::span<std::byte>)>;

// A data set to send.
struct DataSource {
  template <std::invocable<std::span<std::byte>> Producer>
  DataSource(Producer producer) : read(std::move(producer)) {}  // NOLINT: any producer is a source
  DataSource() = default;

  DataProducer read;
  std::optional<std::uint64_t> size;      // in bytes, where it is known
  std::optional<net::FileRange> file;     // where the same bytes lie as they are, for a stream that takes files
  std::function<void(std::size_t)> pace;  // told of bytes before they go, and may wait
};

// A presentation data value (PS3.8 9.3.5.1) or a piece of one: long ones come in pieces, as the bytes arrive, and only
// the last piece of the last fragment says is_last. The view is valid until the next read.
struct Pdv {
  std::uint8_t context_id = 0;
  bool is_command = false;
  bool is_last = false;
  bool ends_pdv = true;  // this piece is the last of its PDV
  std::span<const std::byte> data;
};

// A DICOM association over a stream (PS3.8), in the hands of one thread. After an Error the association is aborted and
// closed: it can only be destroyed. The first cause is kept: later failures (of the abort itself) do not replace it.
// Errors: associate.*, association.*, connection.*, tls.*, each with the whole Peer.
class Association {
 public:
  // Asks for an association. Contexts that the peer leaves out of its answer count as rejected.
  static std::unique_ptr<Association> request(std::unique_ptr<net::Stream> stream, const AssociateRequest& request,
                                              const Timeouts& timeouts);

  // What an acceptor answers: an accept (contexts answered in the order of the request) or a reject.
  using Decision = std::variant<AssociateAccept, AssociateReject>;
  using Decide = std::function<Decision(const AssociateRequest&, const net::Stream&)>;
  // Waits for a request (ARTIM), asks `decide`, answers. nullptr when it was rejected.
  static std::unique_ptr<Association> accept(std::unique_ptr<net::Stream> stream, const Decide& decide,
                                             const Timeouts& timeouts);

  virtual ~Association() = default;  // aborts what was not released

  virtual const AssociateRequest& requested() const = 0;
  virtual const AssociateAccept& accepted() const = 0;
  virtual bool is_requestor() const = 0;
  virtual const Peer& peer() const = 0;
  virtual std::string local_address() const = 0;

  virtual const std::vector<AcceptedContext>& contexts() const = 0;
  const AcceptedContext* find_context(std::uint8_t id) const;
  const AcceptedContext* find_context(std::string_view abstract_syntax, std::string_view transfer_syntax) const;
  // The reply to a proposed context: result, or no_reason where the peer left it out.
  virtual ContextResult context_result(std::uint8_t id) const = 0;
  // The window that both sides agreed on: operations that this side may have outstanding (0: unlimited; 1 when not
  // negotiated).
  virtual std::uint16_t operations_window() const = 0;

  struct Sent {
    std::uint64_t data_bytes = 0;  // of the data set
    bool complete = true;          // false: the peer answered before all was sent; the last fragment bit was sent early
  };
  // Sends one message: the command set in PDUs of its own, then the data set. Fragments are even and within the
  // peer's maximum length (k_own_pdu_limit where it has none). Several PDUs go in one write. Between writes the
  // peer is looked at: when a message has begun to come, `on_answer` is asked, who may read it: true ends the data set
  // here, as an early failure response allows (PS3.7 9.3.1); false goes on. When `data` or `on_answer` throws, the
  // association is aborted, the last fragment unsent, and the Error passed on. A data set of odd length, which no legal
  // one has (PS3.5 7.1), goes out as it is.
  using OnAnswer = std::function<bool()>;
  virtual Sent send(std::uint8_t context_id, std::span<const std::byte> command, const DataSource& data,
                    const OnAnswer& on_answer = {}) = 0;
  virtual void send(std::uint8_t context_id, std::span<const std::byte> command) = 0;

  enum class Event { pdv, release_requested, timeout };
  // The next thing from the peer. At the deadline `timeout` is returned and nothing is lost. release_requested: the
  // caller ends with accept_release(). Abort, loss and protocol errors are thrown.
  virtual Event read(Deadline deadline, Pdv& pdv) = 0;
  // True when read() would not wait.
  virtual bool wait_readable(Deadline deadline) = 0;

  // A-RELEASE in good order, collisions included (PS3.8 9.2, Sta7-12), then closed. PDVs that come meanwhile are
  // dropped.
  virtual void release() = 0;
  // Answers a release that the peer asked for, waits for it to close (ARTIM), closes.
  virtual void accept_release() = 0;
  // A-ABORT with its deadline, then closed; never throws.
  virtual void abort(const Abort& reason = {}) noexcept = 0;
  // From any thread: every wait fails with connection.lost.
  virtual void shutdown() noexcept = 0;
  virtual bool is_open() const = 0;

  static constexpr std::uint32_t k_own_pdu_limit = 131072;          // what we send when the peer has no limit
  static constexpr std::uint32_t k_default_receive_limit = 131072;  // what we announce
};

}  // namespace kuva::ul
