# SPDX-License-Identifier: Apache-2.0
# Installs the library, moves the installed tree, and builds and runs the consumer beside this file against it.
#
#   cmake -D BUILD_DIR=<ndbuf's build> -D WORK_DIR=<scratch folder> -D VERSION=0.1.0 -D C_COMPILER=... -D C_FLAGS=...
#         -D CXX_COMPILER=... -D HOW=find_package|pkg_config [-D PKG_CONFIG=...] -P test_install.cmake
#
# HOW=subproject configures a program of which the library is a part, which is built in unity and computes carelessly.
cmake_minimum_required(VERSION 3.22)

function(run)
    execute_process(COMMAND ${ARGV} COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
endfunction()

function(output_of variable)
    execute_process(COMMAND ${ARGN} OUTPUT_VARIABLE output OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
    set(${variable} "${output}" PARENT_SCOPE)
endfunction()

if(HOW STREQUAL "subproject")
    file(REMOVE_RECURSE ${WORK_DIR})
    run(${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR}/subproject -B ${WORK_DIR} -G Ninja -D CMAKE_UNITY_BUILD=ON
        -D CMAKE_C_COMPILER=${C_COMPILER} -D CMAKE_CXX_COMPILER=${CXX_COMPILER} -D CMAKE_C_FLAGS=-ffast-math)
    file(STRINGS ${WORK_DIR}/build.ninja unities REGEX "^build ndbuf/.*/Unity/")
    if(unities)
        message(FATAL_ERROR "files of the library would be compiled together: ${unities}")
    endif()
    run(${CMAKE_COMMAND} --build ${WORK_DIR} --target ndbuf/core/CMakeFiles/ndbuf_core.dir/item.c.o)
    return()
endif()

# Nothing of the prefix that the library was installed to may be left in the files that users read.
set(first ${WORK_DIR}/first)
set(prefix ${WORK_DIR}/moved)
file(REMOVE_RECURSE ${WORK_DIR})
run(${CMAKE_COMMAND} --install ${BUILD_DIR} --prefix ${first})
file(RENAME ${first} ${prefix})
file(GLOB_RECURSE shared_libraries ${prefix}/libndbuf.so.${VERSION})
if(EXISTS ${prefix}/ndbuf)
    message(FATAL_ERROR "a part of the Python package was installed")
endif()
list(LENGTH shared_libraries count)
if(NOT count EQUAL 1)
    message(FATAL_ERROR "libndbuf.so.${VERSION} was not installed: '${shared_libraries}'")
endif()
get_filename_component(libdir ${shared_libraries} DIRECTORY)
file(GLOB installed_texts ${libdir}/cmake/ndbuf/*.cmake ${libdir}/pkgconfig/*.pc)
foreach(file IN LISTS installed_texts)
    file(READ ${file} text)
    foreach(path IN ITEMS ${first} ${BUILD_DIR})
        string(FIND "${text}" "${path}" position)
        if(NOT position EQUAL -1)
            message(FATAL_ERROR "${file} names ${path}")
        endif()
    endforeach()
endforeach()
set(ENV{LD_LIBRARY_PATH} ${libdir})

if(HOW STREQUAL "find_package")
    # The exact version, and one that only a later library could satisfy.
    set(configure ${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR}/consumer -G Ninja -D CMAKE_PREFIX_PATH=${prefix}
                  -D CMAKE_C_COMPILER=${C_COMPILER} -D CMAKE_CXX_COMPILER=${CXX_COMPILER}
                  "-DCMAKE_C_FLAGS=${C_FLAGS}" "-DCMAKE_CXX_FLAGS=${C_FLAGS}")
    run(${configure} -B ${WORK_DIR}/consumer -D CONSUMER_NDBUF_VERSION=${VERSION})
    execute_process(COMMAND ${configure} -B ${WORK_DIR}/too_new -D CONSUMER_NDBUF_VERSION=${VERSION}.1
                    RESULT_VARIABLE result OUTPUT_QUIET ERROR_QUIET)
    if(result EQUAL 0)
        message(FATAL_ERROR "find_package(ndbuf ${VERSION}.1) was satisfied by ${VERSION}")
    endif()
    run(${CMAKE_COMMAND} --build ${WORK_DIR}/consumer)
    foreach(kind IN ITEMS ndbuf ndbuf_static)
        foreach(language IN ITEMS c cpp)
            run(${WORK_DIR}/consumer/consumer_${kind}_${language})
        endforeach()
    endforeach()
elseif(HOW STREQUAL "pkg_config")
    set(ENV{PKG_CONFIG_PATH} ${libdir}/pkgconfig)
    output_of(version ${PKG_CONFIG} --modversion ndbuf)
    if(NOT version STREQUAL VERSION)
        message(FATAL_ERROR "pkg-config says version ${version}, not ${VERSION}")
    endif()
    output_of(flags ${PKG_CONFIG} --cflags --libs ndbuf)
    output_of(static_flags ${PKG_CONFIG} --static --cflags --libs ndbuf)
    separate_arguments(flags UNIX_COMMAND "${flags}")
    separate_arguments(static_flags UNIX_COMMAND "${static_flags}")
    separate_arguments(c_flags UNIX_COMMAND "${C_FLAGS}")
    set(source ${CMAKE_CURRENT_LIST_DIR}/consumer/consumer_c.c)
    run(${C_COMPILER} ${c_flags} -std=c11 ${source} -o ${WORK_DIR}/consumer_shared ${flags})
    run(${C_COMPILER} ${c_flags} -std=c11 ${source} -o ${WORK_DIR}/consumer_static
        -Wl,-Bstatic ${static_flags} -Wl,-Bdynamic)
    run(${WORK_DIR}/consumer_shared)
    run(${CMAKE_COMMAND} -E env --unset=LD_LIBRARY_PATH ${WORK_DIR}/consumer_static)
else()
    message(FATAL_ERROR "HOW is '${HOW}'")
endif()
