# SPDX-License-Identifier: Apache-2.0

# Writes a C file with the bytes of files, one after the other.
#
#   cmake -DINPUTS=a;b -DOUTPUT=out.c -DSYMBOL=name [-DTEXT=ON] -P embed.cmake
#
# With TEXT: const char name[], terminated. Else: const unsigned char name[], aligned for everything, and
# const size_t name_nbytes; without an input, there is one byte, which does not count.
cmake_policy(VERSION 3.22)

set(hex "")
foreach(input IN LISTS INPUTS)
    file(READ ${input} part HEX)
    string(APPEND hex "${part}")
endforeach()
string(LENGTH "${hex}" nbytes)
math(EXPR nbytes "${nbytes} / 2")
if(TEXT OR nbytes EQUAL 0)
    string(APPEND hex "00")
endif()
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
# 16 bytes a line: each is 5 characters by now.
string(REPEAT "....." 16 line)
string(REGEX REPLACE "(${line})" "\\1\n" bytes "${bytes}")
if(TEXT)
    file(WRITE ${OUTPUT} "extern const char ${SYMBOL}[];\nconst char ${SYMBOL}[] = {\n${bytes}};\n")
else()
    file(WRITE ${OUTPUT}
         "#include <stddef.h>\n\n"
         "extern const unsigned char ${SYMBOL}[];\nextern const size_t ${SYMBOL}_nbytes;\n"
         "_Alignas(16) const unsigned char ${SYMBOL}[] = {\n${bytes}};\n"
         "const size_t ${SYMBOL}_nbytes = ${nbytes};\n")
endif()
