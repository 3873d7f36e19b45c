#include <kuva/cli/tls_config.hpp>
#include <kuva/cli/user_file.hpp>
#include <kuva/cli/xds_config.hpp>

namespace kuva::cli {

namespace {

soap::InstanceIdentifier read_provider(TomlReader& reader) {
  soap::InstanceIdentifier provider;
  const auto root = read_oid(reader, "root");
  if (!root) {
    reader.fail("root", "is missing: the OID of who gave the identifier");
  }
  provider.root = *root;
  assign(provider.extension, reader.text("extension"));
  assign(provider.assigning_authority_name, reader.text("assigning_authority_name"));
  reader.finish();
  return provider;
}

}  // namespace

soap::AssertionUser load_user(const std::filesystem::path& file) {
  const toml::table table = TomlReader::parse_file(file);
  TomlReader reader(table, file, "");
  soap::AssertionUser user;
  assign(user.id, reader.text("id"));
  assign(user.name, reader.text("name"));
  assign(user.organization, reader.text("organization"));
  assign(user.organization_id, read_oid(reader, "organization_id"));
  assign(user.purpose, reader.text("purpose"));
  assign(user.registry_specifier, reader.text("registry_specifier"));
  assign(user.acting_for, read_oid(reader, "acting_for"));
  for (TomlReader& role : reader.tables("role")) {
    user.roles.push_back(read_code(role));
  }
  if (auto provider = reader.table("provider")) {
    user.provider = read_provider(*provider);
  }
  if (auto attributes = reader.table("attributes")) {
    for (const std::string& key : attributes->keys()) {
      user.attributes.emplace(key, *attributes->text(key));
    }
    attributes->finish();
  }
  reader.finish();
  return user;
}

}  // namespace kuva::cli
