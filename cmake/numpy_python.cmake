# SPDX-License-Identifier: Apache-2.0
# NDBUF_NUMPY_PYTHON: a Python that has NumPy, else any, for tests that are skipped without; not set without Python.
find_package(Python3 COMPONENTS Interpreter QUIET)
if(Python3_Interpreter_FOUND)
    set(NDBUF_NUMPY_PYTHON ${Python3_EXECUTABLE})
    foreach(python IN ITEMS ${Python3_EXECUTABLE} /usr/bin/python3 ${PROJECT_SOURCE_DIR}/build/bench-venv/bin/python)
        execute_process(COMMAND ${python} -c "import numpy" RESULT_VARIABLE has_no_numpy OUTPUT_QUIET ERROR_QUIET)
        if(has_no_numpy EQUAL 0)
            set(NDBUF_NUMPY_PYTHON ${python})
            break()
        endif()
    endforeach()
endif()
