// part.c -- no program: it has no main.
int
part(void)
{
  return 1;
}
