#include <kuva/net/resolver.hpp>
#include <kuva/net/socket.hpp>

#include <fmt/format.h>

#include <netdb.h>

#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>

namespace kuva::net {

namespace {

struct Answer {
  int code = 0;
  std::vector<Address> addresses;
};

Answer look_up(const std::string& host, std::uint16_t port, int flags) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_protocol = IPPROTO_TCP;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  Answer answer;
  answer.code = ::getaddrinfo(host.empty() ? nullptr : host.c_str(), std::to_string(port).c_str(), &hints, &list);
  if (answer.code != 0) {
    return answer;
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(list, &::freeaddrinfo);
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    Address address;
    if (entry->ai_addrlen <= sizeof address.storage) {
      std::memcpy(&address.storage, entry->ai_addr, entry->ai_addrlen);
      address.size = entry->ai_addrlen;
      answer.addresses.push_back(address);
    }
  }
  return answer;
}

// What the look-up thread and its caller share; whoever is last frees it.
struct Question {
  std::mutex mutex;
  std::condition_variable answered;
  std::optional<Answer> answer;
};

}  // namespace

std::vector<Address> resolve(const Endpoint& endpoint, ResolveFor purpose, Deadline deadline) {
  if (endpoint.host.empty() && purpose == ResolveFor::connecting) {
    throw Error(kind("resolve.unknown-host"), "the host is empty");
  }
  const int flags = purpose == ResolveFor::listening ? AI_PASSIVE : 0;
  std::optional<Answer> answer = look_up(endpoint.host, endpoint.port, flags | AI_NUMERICHOST);
  if (answer->code == EAI_NONAME) {
    // getaddrinfo knows no deadline, so it runs in a thread of its own, which outlives a caller that gave up.
    const auto question = std::make_shared<Question>();
    try {
      std::thread([question, host = endpoint.host, port = endpoint.port, flags] {
        Answer found = look_up(host, port, flags);
        const std::lock_guard lock(question->mutex);
        question->answer = std::move(found);
        question->answered.notify_all();
      }).detach();
    } catch (const std::system_error& error) {
      throw Error(kind("local.resource"), fmt::format("no thread to look up {}: {}", endpoint.host, error.what()));
    }
    std::unique_lock lock(question->mutex);
    const auto is_answered = [&question] { return question->answer.has_value(); };
    if (deadline.is_never()) {
      question->answered.wait(lock, is_answered);
    } else {
      question->answered.wait_until(lock, deadline.time_point(), is_answered);
    }
    answer = std::move(question->answer);
  }
  const Peer peer = peer_of(endpoint);
  if (!answer) {
    throw Error(kind("resolve.failed"), fmt::format("no answer from the name server for {}", endpoint.host))
        .with_peer(peer);
  }
  if (answer->code == EAI_NONAME || answer->code == EAI_NODATA) {
    throw Error(kind("resolve.unknown-host"),
                fmt::format("host {} is not known: {}", endpoint.host, ::gai_strerror(answer->code)))
        .with_peer(peer);
  }
  if (answer->code != 0 || answer->addresses.empty()) {
    throw Error(kind("resolve.failed"),
                fmt::format("address of {} not found: {}", endpoint.host, ::gai_strerror(answer->code)))
        .with_peer(peer);
  }
  return std::move(answer->addresses);
}

}  // namespace kuva::net
