#include "sandbox/fixture.hpp"

#include <doctest/doctest.h>

using namespace kuva;
using namespace kuva::test;
using sandbox::Settings;

TEST_CASE("what is stored is on disk bit by bit") {
  Bench bench;
  bench.settings.durable = true;
  bench.start();
  for (const std::string& syntax : {k_implicit, k_explicit}) {
    ul::AssociateRequest request = Client::request();
    request.contexts[0].transfer_syntaxes = {syntax};
    Client client(bench.port(), request);
    dimse::echo(client.messenger, k_patience);
    store_and_compare(client, bench.settings.storage, Object::make(syntax == k_implicit ? "1" : "2"), syntax);
    client.association->release();
  }
  CHECK(bench.stored_files() == 2);
}

TEST_CASE("objects that the repository does not take") {
  Bench bench;
  bench.settings.trusted_issuers = {"1.2.246.21"};
  const fs::path codes = bench.directory.path / "codes.txt";
  std::ofstream(codes) << "# codes\nNK1AA Thorax radiograph\nPA2BC something\n";
  bench.settings.study_codes = codes;
  bench.settings.known_aes.push_back({"DENIED", std::nullopt, false, false, true});
  bench.start();
  Object object = Object::make("1");
  std::string bytes = object.bytes();
  std::string calling = "KUVA";
  std::uint16_t status = 0;
  std::string comment;
  std::vector<dicom::Tag> elements;

  SUBCASE("none: it is a good one") { status = 0x0000; }
  SUBCASE("no Patient ID") {
    object.data.erase(dicom::tags::patient_id);
    bytes = object.bytes();
    status = 0xA777;
    comment = "No Patient ID (from trusted Assigning Authority) in object.";
  }
  SUBCASE("an issuer that is not trusted") {
    object.data.set_string(dicom::tags::issuer_of_patient_id, "1.2.3");
    bytes = object.bytes();
    status = 0xA777;
    comment = "No Patient ID (from trusted Assigning Authority) in object.";
  }
  SUBCASE("a study code that is not in the list") {
    object.data.set_string(dicom::tags::study_description, "XX9ZZ Thorax");
    bytes = object.bytes();
    status = 0xA900;
    comment = "Study Description does not begin with a known code.";
    elements = {dicom::tags::study_description};
  }
  SUBCASE("a SOP Instance UID that is not that of the command") {
    object.uid = "1.2.246.9.77";
    status = 0xA900;
    comment = "SOP Instance UID differs from that of the command.";
    elements = {dicom::tags::sop_instance_uid};
  }
  SUBCASE("a SOP Class UID that is not that of the command") {
    object.sop_class = k_mr;
    status = 0xA900;
    comment = "SOP Class UID differs from that of the command.";
    elements = {dicom::tags::sop_class_uid};
  }
  SUBCASE("no Study and Series Instance UID") {
    object.data.erase(dicom::tags::study_instance_uid);
    object.data.erase(dicom::tags::series_instance_uid);
    bytes = object.bytes();
    status = 0xA900;
    comment = "The data set lacks identifiers.";
    elements = {dicom::tags::study_instance_uid, dicom::tags::series_instance_uid};
  }
  SUBCASE("a Study Instance UID that is a path") {
    object.data.set_string(dicom::tags::study_instance_uid, "../../escape");
    bytes = object.bytes();
    status = 0xA900;
    comment = "Study Instance UID is not a legal UID.";
    elements = {dicom::tags::study_instance_uid};
  }
  SUBCASE("an illegal SOP Instance UID") {
    object.uid = "1.2.00.3";
    object.data.set_string(dicom::tags::sop_instance_uid, object.uid);
    bytes = object.bytes();
    status = 0x0117;
    comment = "SOP Instance UID is not a legal UID.";
  }
  SUBCASE("a data set that ends early") {
    bytes.resize(bytes.size() - 100);
    status = 0xC000;
    comment = "The data set ends in the middle of an element.";
    elements = {dicom::tags::pixel_data};
  }
  SUBCASE("no storage for this AE") {
    calling = "DENIED";
    status = 0x0124;
    comment = "Storage denied.";
  }
  SUBCASE("the storage cannot be written") {
    fs::remove_all(bench.settings.storage / ".incoming");
    status = 0xA700;
  }
  Client client(bench.port(), Client::request(calling));
  const dimse::Command response = client.store(object, bytes);
  CHECK(response.status == status);
  if (!comment.empty()) {
    CHECK(response.error_comment == comment);
  }
  CHECK(response.offending_elements == elements);
  CHECK(bench.stored_files() == (status == 0 ? 1 : 0));
  // The association lives on.
  dimse::echo(client.messenger, k_patience);
  client.association->release();
}

TEST_CASE("objects that clash with what is stored") {
  Bench bench;
  bench.start();
  Client client(bench.port());
  const Object first = Object::make("1");
  REQUIRE(client.store(first).status == 0x0000);
  SUBCASE("the same UID with another SOP class: 0119") {
    Object other = Object::make("1");
    other.sop_class = k_mr;
    other.data.set_string(dicom::tags::sop_class_uid, k_mr);
    CHECK(client.store(other).status == 0x0119);
  }
  SUBCASE("the same UID in another study: A77B") {
    const dimse::Command response = client.store(Object::make("1", "1.2.246.2"));
    CHECK(response.status == 0xA77B);
    CHECK(response.error_comment == "Study[uid=1.2.246.2] differs from Study[uid=1.2.246.1] in previo");
  }
  SUBCASE("the same UID in another series: A77B") {
    Object other = Object::make("1");
    other.data.set_string(dicom::tags::series_instance_uid, "1.2.246.1.2");
    CHECK(client.store(other).status == 0xA77B);
  }
  SUBCASE("the study of another patient: A778, and the transcript does not name them") {
    Object other = Object::make("2");
    other.data.set_string(dicom::tags::patient_id, "020202A002P");
    const dimse::Command response = client.store(other);
    CHECK(response.status == 0xA778);
    CHECK(response.error_comment == "Patient ID 020202A002P differs from Patient ID 010181-900C in pr");
    client.association->release();
    REQUIRE(bench.saw("association-released"));
    const std::string transcript = slurp(bench.settings.transcript);
    CHECK(transcript.find("A778") != std::string::npos);
    CHECK(transcript.find("020202A002P") == std::string::npos);
    CHECK(transcript.find("010181-900C") == std::string::npos);
  }
  CHECK(bench.stored_files() == 1);
  CHECK(slurp(first.path_in(bench.settings.storage)).ends_with(first.bytes()));
}

TEST_CASE("overwriting is silent, and by the policy") {
  Bench bench;
  bench.settings.known_aes.push_back({"OTHER", std::nullopt, false, true, true});
  const Object first = Object::make("1");
  Object second = Object::make("1");
  second.data.set_string(dicom::tags::instance_number, "2");
  const auto stored = [&bench, &first] { return slurp(first.path_in(bench.settings.storage)); };
  std::string again = "KUVA";
  bool is_replaced = false;
  SUBCASE("never") { bench.settings.overwrite = Settings::Overwrite::never; }
  SUBCASE("same source") { is_replaced = true; }
  SUBCASE("same source, but it is another one") { again = "OTHER"; }
  SUBCASE("always") {
    bench.settings.overwrite = Settings::Overwrite::always;
    again = "OTHER";
    is_replaced = true;
  }
  bench.start();
  CHECK(Client(bench.port()).store(first).status == 0x0000);
  // The source is known after a start too.
  bench.stop();
  bench.start();
  Client client(bench.port(), Client::request(again));
  CHECK(client.store(second).status == 0x0000);
  CHECK(stored().ends_with(is_replaced ? second.bytes() : first.bytes()));
  CHECK(bench.stored_files() == 1);
}

TEST_CASE("associations that are rejected") {
  Bench bench;
  bench.settings.max_associations = 1;
  bench.start();
  ul::AssociateRequest request = Client::request();
  std::string code = "associate.rejected.permanent";
  std::string reason;
  std::unique_ptr<Client> other;
  SUBCASE("called AE title") {
    request.called_ae = "ELSE";
    reason = "1/1/7";
  }
  SUBCASE("calling AE title") {
    request.calling_ae = "STRANGER";
    reason = "1/1/3";
  }
  SUBCASE("application context") {
    request.application_context = "1.2.3";
    reason = "1/1/2";
  }
  SUBCASE("too many") {
    other = std::make_unique<Client>(bench.port());
    code = "associate.rejected.transient";
    reason = "2/3/2";
  }
  try {
    const Client client(bench.port(), request);
    FAIL("accepted");
  } catch (const Error& error) {
    INFO(error.message());
    CHECK(error.kind().code.substr(0, 18) == "associate.rejected");
    CHECK(error.message().find(reason) != std::string::npos);
  }
  CHECK(bench.saw("association-rejected"));
}

TEST_CASE("what is negotiated") {
  Bench bench;
  bench.settings.refused_sop_classes = {k_mr};
  bench.settings.async_window = 5;
  const std::string jpeg = "1.2.840.10008.1.2.4.50";
  ul::AssociateRequest request = Client::request();
  request.contexts = {{1, k_ct, {jpeg, k_implicit}},
                      {3, k_mr, {k_implicit}},
                      {5, "1.2.246.999.1", {k_explicit}},  // private
                      {7, k_commitment, {k_explicit, k_implicit}},
                      {9, "1.2.840.10008.5.1.4.31", {k_implicit}},  // Modality Worklist FIND
                      {11, k_commitment, {jpeg}}};
  request.roles = {{k_commitment, true, true}};
  request.asynchronous_operations = ul::AsynchronousOperations{0, 0};
  SUBCASE("by default the requestor's order counts") {
    bench.start();
    const Client client(bench.port(), request);
    CHECK(client.association->context_result(1) == ul::ContextResult::accepted);
    CHECK(client.association->find_context(1)->transfer_syntax == jpeg);
    CHECK(client.association->context_result(3) == ul::ContextResult::abstract_syntax_not_supported);
    CHECK(client.association->context_result(5) == ul::ContextResult::accepted);
    CHECK(client.association->find_context(7)->transfer_syntax == k_explicit);
    CHECK(client.association->context_result(9) == ul::ContextResult::abstract_syntax_not_supported);
    CHECK(client.association->context_result(11) == ul::ContextResult::transfer_syntaxes_not_supported);
    CHECK(client.association->find_context(7)->scu);
    CHECK_FALSE(client.association->find_context(7)->scp);
    CHECK(client.association->operations_window() == 5);
  }
  SUBCASE("with a list of transfer syntaxes") {
    bench.settings.accepted_transfer_syntaxes = {k_implicit};
    bench.start();
    const Client client(bench.port(), request);
    CHECK(client.association->find_context(1)->transfer_syntax == k_implicit);
    CHECK(client.association->context_result(5) == ul::ContextResult::transfer_syntaxes_not_supported);
  }
}

TEST_CASE("a window of several C-STOREs") {
  Bench bench;
  bench.settings.async_window = 4;
  bench.start();
  ul::AssociateRequest request = Client::request();
  request.asynchronous_operations = ul::AsynchronousOperations{4, 1};
  Client client(bench.port(), request);
  dimse::StoreUser user(client.messenger, k_patience);
  std::vector<std::string> bytes;
  std::vector<Object> objects;
  for (int i = 1; i <= 12; ++i) {
    objects.push_back(Object::make(std::to_string(i)));
    bytes.push_back(objects.back().bytes());
  }
  std::size_t answered = 0;
  for (std::size_t i = 0; i < objects.size(); ++i) {
    while (!user.may_send()) {
      CHECK(user.receive().command.status == 0x0000);
      ++answered;
    }
    user.send({1, k_ct, objects[i].uid, producer(bytes[i]), i});
  }
  while (user.outstanding() > 0) {
    CHECK(user.receive().command.status == 0x0000);
    ++answered;
  }
  CHECK(answered == 12);
  CHECK(bench.stored_files() == 12);
}

TEST_CASE("two associations that send the same UID at once leave one whole file") {
  Bench bench;
  bench.settings.overwrite = Settings::Overwrite::always;
  bench.start();
  Object first = Object::make("1");
  Object second = Object::make("1");
  second.data.set_bytes(dicom::tags::pixel_data, dicom::Vr::OW, std::string(200'000, 'q'));
  const std::string first_bytes = first.bytes();
  const std::string second_bytes = second.bytes();
  std::vector<std::jthread> senders;
  std::atomic<int> good = 0;
  for (const std::string* bytes : {&first_bytes, &second_bytes}) {
    senders.emplace_back([&bench, &first, &good, bytes] {
      for (int i = 0; i < 10; ++i) {
        Client client(bench.port());
        good += client.store(first, *bytes).status == std::uint16_t{0} ? 1 : 0;
        client.association->release();
      }
    });
  }
  senders.clear();
  CHECK(good == 20);
  CHECK(bench.stored_files() == 1);
  const std::string file = slurp(first.path_in(bench.settings.storage));
  CHECK((file.ends_with(first_bytes) || file.ends_with(second_bytes)));
}

TEST_CASE("an association that dies in the middle of an object leaves nothing") {
  Bench bench;
  bench.start();
  {
    Client client(bench.port());
    dimse::StoreUser user(client.messenger, k_patience);
    const Object object = Object::make("1");
    std::size_t pieces = 0;
    CHECK_THROWS_AS(user.send({1, k_ct, object.uid,
                               [&pieces](std::span<std::byte> buffer) {
                                 if (++pieces > 3) {
                                   throw Error(kind("local.read"), "the source broke");
                                 }
                                 std::memset(buffer.data(), 0, buffer.size());
                                 return buffer.size();
                               },
                               7}),
                    Error);
    CHECK(user.unsent() == std::vector<std::uint64_t>{7});
  }
  CHECK(bench.saw("association-aborted"));
  CHECK(bench.stored_files() == 0);
}

TEST_CASE("what is known after a start is what the disk has") {
  Bench bench;
  bench.start();
  const Object kept = Object::make("1");
  const Object removed = Object::make("2");
  const Object added = Object::make("3");
  {
    Client client(bench.port());
    CHECK(client.store(kept).status == 0x0000);
    CHECK(client.store(removed).status == 0x0000);
    CHECK(client.store(added).status == 0x0000);
  }
  bench.stop();
  const fs::path storage = bench.settings.storage;
  // As after a kill in the middle of things: half a file, an index that lacks one instance and has one too many.
  std::ofstream(storage / ".incoming" / "77.part") << "half";
  fs::remove(removed.path_in(storage));
  SUBCASE("the index is old") {
    const fs::path path = added.path_in(storage);
    fs::last_write_time(path, fs::last_write_time(path) - std::chrono::hours(1));
  }
  SUBCASE("the index is lost") {
    for (const auto& entry : fs::directory_iterator(storage)) {
      if (entry.path().filename().string().starts_with(".index.db")) {
        fs::remove(entry.path());
      }
    }
  }
  SUBCASE("the index is garbage") {
    for (const auto& entry : fs::directory_iterator(storage)) {
      if (entry.path().filename().string().starts_with(".index.db")) {
        std::ofstream(entry.path()) << std::string(9000, 'g');
      }
    }
  }
  // Files that are not the archive's are left alone and not counted.
  std::ofstream(kept.path_in(storage).parent_path() / "1.2.3.dcm") << "not DICOM";
  bench.start();
  CHECK_FALSE(fs::exists(storage / ".incoming" / "77.part"));
  const Json started = bench.transcript().back();
  CHECK(started["event"] == "sandbox-started");
  CHECK(started["instances"] == 2);
  // It is known well enough to conflict.
  Client client(bench.port());
  CHECK(client.store(Object::make("3", "1.2.246.2")).status == 0xA77B);
  CHECK(client.store(Object::make("2", "1.2.246.2")).status == 0x0000);
}

TEST_CASE("a storage has one sandbox") {
  Bench bench;
  bench.start();
  CHECK_THROWS_AS(sandbox::Sandbox::start(bench.settings), Error);
}

TEST_CASE("stopping ends idle associations and returns") {
  Bench bench;
  bench.start();
  const Client idle(bench.port());
  net::ConnectSettings connect;
  connect.endpoint = {"127.0.0.1", bench.port()};
  const auto silent = net::connect(connect);  // never asks for an association
  const auto begin = std::chrono::steady_clock::now();
  bench.server->stop(milliseconds(300));
  CHECK(std::chrono::steady_clock::now() - begin < milliseconds(3000));
  const Json last = bench.transcript().back();
  CHECK(last["event"] == "sandbox-stopped");
  CHECK_THROWS_AS(net::connect(connect), Error);
}

TEST_CASE("each event is one line that parses") {
  Bench bench;
  bench.start();
  {
    Client client(bench.port());
    dimse::echo(client.messenger, k_patience);
    client.store(Object::make("1"));
    client.association->release();
  }
  REQUIRE(bench.saw("association-released"));
  bench.stop();
  std::vector<std::string> events;
  for (const Json& line : bench.transcript()) {
    CHECK(line.contains("time"));
    events.push_back(line["event"].get<std::string>());
  }
  CHECK(events == std::vector<std::string>{"sandbox-started", "association-accepted", "message-received",
                                           "message-sent", "message-received", "message-sent", "association-released",
                                           "sandbox-stopped"});
  const Json stored = bench.transcript()[5];
  CHECK(stored["message"] == "C-STORE-RSP");
  CHECK(stored["status"] == "0000");
  CHECK(stored["disposition"] == "stored");
  CHECK(stored["bytes"] == Object::make("1").bytes().size());
}
