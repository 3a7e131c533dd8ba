/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TESTS_CUDASIM_SIM_FAULTS_H
#define NDBUF_TESTS_CUDASIM_SIM_FAULTS_H

#include <stdbool.h>

#include <cuda_runtime_api.h>

/* What the state and the controls share. All but sim_start, sim_is_forked and sim_report_at_exit: with the lock. */
cudaError_t sim_fault_of_call(const char *function);
void sim_forget_calls(void);
void sim_start(void);
bool sim_is_forked(void);
void sim_report_at_exit(void);

#endif
