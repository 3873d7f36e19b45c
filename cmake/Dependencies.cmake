# Everything comes from Debian 12; scripts/packages.txt is the list.
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(ZLIB REQUIRED)
find_package(CLI11 REQUIRED)
find_package(tomlplusplus REQUIRED)
find_package(SQLiteCpp REQUIRED)
find_package(GDCM REQUIRED)
# GDCM's package file names no usage requirements; its headers are a system's to us.
add_library(kuva_gdcm INTERFACE)
target_include_directories(kuva_gdcm SYSTEM INTERFACE ${GDCM_INCLUDE_DIRS})
target_link_libraries(kuva_gdcm INTERFACE gdcmCommon gdcmDICT gdcmDSED gdcmIOD gdcmMSFF)
