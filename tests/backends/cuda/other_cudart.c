/* SPDX-License-Identifier: Apache-2.0 */

/* A runtime of a version that nobody has: all but this function is the simulator's, which it is linked to. */
int cudaRuntimeGetVersion(int *version);

int cudaRuntimeGetVersion(int *version)
{
    *version = 99010;
    return 0;
}
