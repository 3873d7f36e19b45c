#pragma once

#include <kuva/core/record.hpp>
#include <kuva/dicom/inspection.hpp>
#include <kuva/ledger/ledger.hpp>
#include <kuva/workflow/inventory.hpp>

#include <optional>
#include <string>
#include <string_view>

// A ledger's rows, and what they are among records and files.
namespace kuva::workflow {

// The state that a record's outcome means; nothing where it means none (unsent, pending, planned).
std::optional<ledger::State> state_of_record(const Json& record);
// The outcome that a state is in a record.
std::string_view outcome_of(ledger::State state);
// A state whose records are not ok.
bool is_told_as_failed(ledger::State state);
// What a row says of the file and the object in it.
void put_instance(Json& record, const ledger::Instance& row);
// Why a row is_told_as_failed.
Error failure_of(const ledger::Instance& row);
// A row as a record of kuva's: the one of the earlier stage if it is known, with what the row says.
Json record_of_row(const ledger::Instance& row, std::string_view tool);
// A row that has ended as the record that says so: `record` is what came in of it, null where nothing did.
Json ended_record(Json record, const ledger::Instance& row, std::string_view tool);

// The path by which the ledger knows a file: absolute, since another run may begin elsewhere; links are not followed.
std::string ledger_path(const std::string& path);
// What tells a file from an earlier one of its name; nothing where there is none (errno).
std::optional<ledger::FileIdentity> identity_of(const std::string& path);
// The same of a file that was just found.
std::optional<ledger::FileIdentity> identity_of(const InventoryItem& item);
// A row with what an object says of itself.
ledger::Instance row_of(const dicom::InstanceAttributes& attributes);

// How the ledger compares two files of one SOP Instance UID (Ledger::record). A known file that has been written to
// since speaks by what is in it now, one that is gone is forgotten; where something of it went out, its digest alone
// speaks, or that size and time are those of a file that moved. Errors: ledger.*.
ledger::Ledger::SameDataSet data_set_comparison(ledger::Ledger& ledger);

// How the ledger names a patient: "ID" or "ID^^^ISSUER".
std::string patient_key(const std::string& patient_id, const std::string& issuer);
struct PatientKey {
  std::string patient_id;
  std::string issuer;  // may be empty
};
PatientKey split_patient_key(std::string_view key);

}  // namespace kuva::workflow
