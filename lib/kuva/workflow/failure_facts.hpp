#pragma once

#include <kuva/core/error.hpp>
#include <kuva/dicom/tag.hpp>
#include <kuva/dicom/vr.hpp>
#include <kuva/ul/association.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace kuva::workflow {

// What the record of a failure holds besides the error itself, so that whoever reads it need not ask for a log: the
// object, the negotiation, the message, and where to find the moment in the peer's log. Gathered when something has
// failed, never before.

// The association: id within the run, our end of it, since when, and what the peer set as limits.
Json association_facts(const ul::Association& association, std::uint64_t id,
                       std::chrono::system_clock::time_point opened_at);

// Each context that was proposed for a SOP class, and the peer's answer to it (PS3.8 9.3.3.2).
Json negotiation_facts(const ul::Association& association, std::string_view sop_class_uid);

// The object: names of its SOP class and transfer syntax, and where the file meta information contradicts the data
// set. Reads the file's meta; what cannot be read (any more) is left out.
Json object_facts(const std::filesystem::path& path, std::string_view sop_class_uid, std::string_view sop_instance_uid,
                  std::string_view transfer_syntax_uid);

// The elements that the peer named as offending, as they are in our file: tag, keyword, vr, length, value (masked),
// or absent. Elements of the data set itself, not of sequence items.
Json offending_values(const std::filesystem::path& path, const std::vector<dicom::Tag>& tags);

// A value that may be a patient's: codes, UIDs and numbers as they are where the element is not of the patient or
// private, everything else as its shape (x for a letter, 9 for a digit), at most 64 bytes of it.
std::string masked_value(dicom::Tag tag, dicom::Vr vr, std::string_view value);

// One command line that does the same with this object alone; quoted for a shell.
std::string command_for(std::string_view target_name, std::string_view calling_ae, bool tls, std::string_view path);

}  // namespace kuva::workflow
